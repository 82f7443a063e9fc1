"""SIGTERM for a command whose training happens in processes that it has forked or spawned."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch.multiprocessing.spawn import ProcessExitedException

STOPPED = 128 + signal.SIGTERM
"""Exit status of a fit that has stopped for SIGTERM: what a shell says of a process it ended."""


@contextmanager
def told_to_all(trainer: Trainer) -> Iterator[None]:
    """Hand SIGTERM on to the processes that train while this one waits, and end with their status.

    Args:
        trainer: Whose processes they are; where this process trains itself, nothing is done.

    Raises:
        SystemExit: Where they have stopped for it.
    """
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _MultiProcessingLauncher):
        yield
        return
    before = signal.signal(signal.SIGTERM, _hand_on(launcher))
    try:
        yield
    except ProcessExitedException as error:
        if error.exit_code != STOPPED:
            raise
        raise SystemExit(STOPPED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _hand_on(launcher: _MultiProcessingLauncher) -> Any:
    def handler(number: int, frame: FrameType | None) -> None:
        if launcher.procs:
            launcher.kill(number)
        else:  # there is none yet
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    return handler
