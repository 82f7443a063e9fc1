"""The parent's side of a worker of `glint benchmark`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

from lightning_app.commands.benchmark_runner import Contender
from lightning_app.errors import InputError

_MODULE = "lightning_app.commands.benchmark_worker"
_SHOWN_OF_LOG = 300  # characters


class Worker:
    """A process that has loaded a contender, and waits.

    Args:
        contender: What it loads.
        threads: To compute with.
        rows_file: Of `Runner`.

    Raises:
        InputError: If it cannot load it.
    """

    def __init__(self, contender: Contender, threads: int, rows_file: str | None = None) -> None:
        self.contender = contender
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `stop`
        arguments = {"contender": asdict(contender), "threads": threads, "rows_file": rows_file}
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=_environment(threads),
        )
        try:
            self.memory_loaded: int = self._reply()["memory"]
        except BaseException:
            self.stop()
            raise

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer; ``memory`` in it is the peak so far, in bytes."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the reply says why
        return self._reply()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"mistake": self._why_it_ended()}
        if "mistake" in reply:
            raise InputError(reply["mistake"])
        return reply

    def _why_it_ended(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
        return (
            f"Expected {self.contender.name!r} to be measured, but its process ended with code"
            f" {code}: {said[:_SHOWN_OF_LOG]}"
        )


def _environment(threads: int) -> dict[str, str]:
    """So that PyTorch and the tokenizers have the threads that were asked for from the start."""
    number = str(threads)
    return {**os.environ, "OMP_NUM_THREADS": number, "RAYON_NUM_THREADS": number}
