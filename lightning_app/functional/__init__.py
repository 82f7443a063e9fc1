"""Pure tensor functions, usable in anybody's training loop; they import torch alone."""
