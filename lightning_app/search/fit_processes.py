"""Fits of trials, each in a process of its own that starts within a tenth of a second."""

import multiprocessing
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError
from lightning_app.recipes.child import LOG, failure
from lightning_app.search.fit_child import run_fit

_FORKSERVER = "forkserver"
_PRELOADED = "lightning_app.search.fit_imports"


class FitProcesses:
    """Runs `glint fit` again and again, without paying for its imports each time.

    They are forked, where the system can, from a process that has imported everything and computed
    nothing. They end with the process that this object is in.
    """

    def __init__(self) -> None:
        can_fork = _FORKSERVER in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context(_FORKSERVER if can_fork else "spawn")
        if can_fork:
            self._context.set_forkserver_preload([_PRELOADED])

    def run(self, arguments: Sequence[str], folder: Path) -> float:
        """Run one to its end.

        Args:
            arguments: Behind `glint`.
            folder: Where `log.txt` goes.

        Returns:
            Seconds that it took.

        Raises:
            InputError: If it fails, with the end of what it said.
        """
        log = folder / LOG
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ glint {' '.join(arguments)}\n")
        started = time.monotonic()
        process = self._context.Process(target=run_fit, args=(list(arguments), str(log)))
        process.start()
        try:
            process.join()
        finally:
            if process.is_alive():
                process.kill()
                process.join()
        code = process.exitcode
        if code < 0:
            raise InputError(
                f"Expected `glint {arguments[0]}` to finish, but its process was ended by"
                f" {signal.Signals(-code).name}."
            )
        if code:
            raise InputError(failure(arguments[0], code, log))
        return time.monotonic() - started
