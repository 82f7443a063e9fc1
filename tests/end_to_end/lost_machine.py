"""A callback with which a machine goes down."""

import os
import signal
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer


class LostMachine(Callback):
    """SIGKILL for torchrun and its process on one machine, once.

    Args:
        at: Optimizer steps that are done by then.
        file: What it writes before.
        machine: Name, in the environment variable ``MACHINE``.
    """

    def __init__(self, at: int, file: str, machine: str = "second") -> None:
        self.at, self.file, self.machine = at, Path(file), machine

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        here = os.environ["MACHINE"] == self.machine
        if trainer.global_step == self.at and here and not self.file.exists():
            self.file.write_text(f"{self.at}\n")
            for process in (os.getppid(), os.getpid()):
                os.kill(process, signal.SIGKILL)
