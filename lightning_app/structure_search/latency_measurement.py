"""The parent's side of the process that times networks."""

import json
import os
import subprocess
import sys
import tempfile
from typing import IO, Any

from lightning_app.errors import InputError
from lightning_app.structure_search.latency_worker import Assignment

_MODULE = "lightning_app.structure_search.latency_worker"
_SHOWN_OF_LOG = 300  # characters


def measured(assignment: Assignment, show_progress: bool) -> dict[str, Any]:
    """Time networks in a process of their own.

    Args:
        assignment: What to time.
        show_progress: On the terminal.

    Returns:
        ``steady`` and ``changing`` (see `ProbeTimer`): for each network milliseconds by length;
        ``waited``: the share of the time that went by waiting for a core.

    Raises:
        InputError: If the process cannot.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    with (
        tempfile.TemporaryFile() as log,
        tqdm(total=100, desc="Latency", unit="%", disable=not show_progress) as bar,
        _started(assignment, log) as process,
    ):
        assert process.stdout is not None
        try:
            reply = _last_reply(process.stdout, bar)
            process.wait()
        finally:
            process.kill()
        if "mistake" in reply:
            raise InputError(reply["mistake"])
        if "steady" not in reply:
            raise _ended_early(process, log)
    times = {
        how: [{int(length): ms for length, ms in times.items()} for times in reply[how]]
        for how in ("steady", "changing")
    }
    return {**times, "waited": reply["waited"]}


def _started(assignment: Assignment, log: IO[bytes]) -> "subprocess.Popen[str]":
    threads = str(assignment.threads)
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads},
    )
    assert process.stdin is not None
    process.stdin.write(assignment.as_json())
    process.stdin.close()
    return process


def _last_reply(replies: IO[str], bar: Any) -> dict[str, Any]:
    reply: dict[str, Any] = {}
    for line in replies:
        reply = json.loads(line)
        if "done" in reply:
            bar.set_postfix_str(reply["at"], refresh=False)
            bar.update(round(100 * reply["done"]) - bar.n)
    return reply


def _ended_early(process: "subprocess.Popen[str]", log: IO[bytes]) -> InputError:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return InputError(
        "Expected the latency of networks to be measured, but the process that does ended with"
        f" code {process.returncode}: {said[:_SHOWN_OF_LOG]}"
    )
