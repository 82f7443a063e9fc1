"""A callback that stands for a scheduler which takes the machine away."""

import os
import signal
from typing import Any

from lightning.pytorch import Callback, Trainer


class Scheduler(Callback):
    """Sends SIGTERM in the step after ``at`` optimizer steps.

    Args:
        at: Number of optimizer steps.
        to: ``group`` for all processes of a run, ``parent`` for the one that waits for those that
            train, or the rank of one.
    """

    def __init__(self, at: int, to: str = "group") -> None:
        self.at, self.to = at, to

    def on_fit_start(self, *_: Any) -> None:
        if self.to == "group":
            os.setpgid(0, 0)  # the group before is that of the tests

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step != self.at:
            return
        if self.to == "group":
            os.killpg(0, signal.SIGTERM)
        elif self.to == "parent" and trainer.global_rank == 0:
            os.kill(os.getppid(), signal.SIGTERM)
        elif self.to == str(trainer.global_rank):
            os.kill(os.getpid(), signal.SIGTERM)


def scheduler(at: int, to: str = "group") -> list[str]:
    """Options of `glint fit`."""
    return [
        "--trainer.callbacks+=tests.end_to_end.scheduler.Scheduler",
        f"--trainer.callbacks.at={at}",
        f"--trainer.callbacks.to={to}",
    ]
