"""What a process of a trial's fit does."""

import multiprocessing
import os
from collections.abc import Sequence
from threading import Thread


def run_fit(arguments: Sequence[str], log: str) -> None:
    """Run `glint` in this process and end it with its exit code.

    Args:
        arguments: Behind `glint`.
        log: File that its output is added to.
    """
    Thread(target=_end_with_parent, daemon=True).start()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    from lightning_app.__main__ import main

    raise SystemExit(main(list(arguments)))


def _end_with_parent() -> None:
    """A fit whose worker was killed must not write on: another worker takes the trial up.

    The process that forks lives as long as its children, so the worker itself is waited for.
    """
    worker = multiprocessing.parent_process()
    if worker is not None:
        worker.join()
        os._exit(1)
