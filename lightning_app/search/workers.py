"""The worker processes of a search on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning_app.errors import InputError
from lightning_app.recipes.child import end_with_parent, own_path
from lightning_app.search.specification import Specification

_MODULE = "lightning_app.search.worker"
_SHOWN_LINES = 5
_OURS = "glint: "


class Workers:
    """So many processes that take trials of one study.

    Args:
        specification: Of the search.
        storage: Address of the database; it is told by a pipe, as it may hold a password.
        rungs: Epochs after which a trial of the longest training may be stopped.
        num_tickets: Trials that are wanted.
        count: How many processes.
    """

    def __init__(
        self,
        specification: Specification,
        storage: str,
        rungs: Sequence[int],
        num_tickets: int,
        count: int,
    ) -> None:
        self._told = json.dumps(
            {
                "specification": specification.as_plain(),
                "storage": storage,
                "rungs": list(rungs),
                "num_tickets": num_tickets,
            }
        )
        self._folder = Path(specification.folder)
        self._count = count
        self.processes: list[subprocess.Popen[str]] = []

    @contextmanager
    def running(self) -> Iterator["Workers"]:
        """Start them; end those that are left at the end of the block."""
        try:
            for number in range(self._count):
                self.processes.append(self._started(number))
            yield self
        finally:
            for process in self.processes:
                if process.poll() is None:
                    process.terminate()
            for process in self.processes:
                process.wait()

    @property
    def are_at_work(self) -> bool:
        """Whether any of them runs.

        Raises:
            InputError: If none does, and one of them failed.
        """
        codes = [process.poll() for process in self.processes]
        if None in codes:
            return True
        for number, code in enumerate(codes):
            if code:
                raise InputError(self._why(number, code))
        return False

    def _started(self, number: int) -> "subprocess.Popen[str]":
        threads = str(max(1, len(os.sched_getaffinity(0)) // self._count))
        environment = {"OMP_NUM_THREADS": threads, **os.environ, **own_path()}
        with self._log(number).open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                env=environment,
                preexec_fn=end_with_parent(os.getpid()),
            )
        assert process.stdin is not None
        process.stdin.write(self._told + "\n")
        process.stdin.close()
        return process

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{os.getpid()}-{number}.txt"

    def _why(self, number: int, code: int) -> str:
        log = self._log(number)
        lines = [n for n in log.read_text("utf-8", "replace").splitlines() if n.strip()]
        own = [line.removeprefix(_OURS) for line in lines if line.startswith(_OURS)]
        if own:
            return own[-1]
        said = "\n".join(lines[-_SHOWN_LINES:])
        return (
            f"Expected a worker of the search to finish, but it ended with code {code} ({log});"
            f" the same command goes on: {said}"
        )
