"""Run a folder of format `torch`: a `torch.export` program."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lightning_app.artifact.manifest import Manifest
from lightning_app.artifact.program_check import read_program
from lightning_app.artifact.runtime import RuntimeOptions
from lightning_app.artifact.text_encoder import Batch
from lightning_app.artifact.torch_threads import torch_threads


class ProgramNetwork:
    """A program's module.

    Args:
        module: From the manifest's inputs to logits.
        threads: To compute with.
    """

    def __init__(self, module: nn.Module, threads: int | None) -> None:
        self._module = module
        self._threads = threads

    @property
    def module(self) -> nn.Module:
        """What computes, with its weights."""
        return self._module

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits ``[batch, num_labels]``."""
        inputs = {name: torch.from_numpy(values) for name, values in batch.items()}
        with torch.inference_mode(), torch_threads(self._threads):
            logits: npt.NDArray[np.float32] = self._module(**inputs).numpy()
        return logits


def open_network(folder: Path, manifest: Manifest, options: RuntimeOptions) -> ProgramNetwork:
    """Read the program, if it is one that can do nothing but compute."""
    file = folder / "model.pt2"
    program = read_program(file.read_bytes(), str(file))
    return ProgramNetwork(program.module(), options.threads)
