"""Glint: fine-tune transformer text classifiers and make them small and fast."""

__version__ = "0.1.0"
