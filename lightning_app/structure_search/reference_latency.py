"""How long a model takes in plain PyTorch on this machine: what a speedup is relative to."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from lightning_app.cache_key import cache_key
from lightning_app.commands.whole_file import write_whole
from lightning_app.errors import InputError
from lightning_app.functional.interpolation import interpolated_mean
from lightning_app.processor import Processor
from lightning_app.structure_search.waiting import say_if_busy
from lightning_app.teacher_cache import default_cache_root
from modules.architecture import ArchitectureRecord

VERSION = 1
"""Of how it is measured: raise it when older times should not be read."""

SECONDS = 10.0
_LENGTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_SHOWN_OF_LOG = 300  # characters
_PACKAGES = ("torch", "transformers")


def reference_latency(
    record: ArchitectureRecord,
    threads: int,
    batch_size: int,
    lengths: int | Sequence[int],
    say: Callable[[str], None] = print,
    root: Path | None = None,
    seconds: float = SECONDS,
) -> float:
    """Milliseconds of one call, in float32 as `transformers` computes it; measured once and kept.

    Args:
        record: Of the model; its weights do not matter.
        threads: To compute with.
        batch_size: Rows of a call.
        lengths: In tokens, of all calls, or for the mean over calls of these lengths, which change
            from call to call.
        say: Is told what is measured and where it is kept.
        root: Folder of what was measured; by default `latency` in Glint's cache.
        seconds: Of timing, about.

    Raises:
        InputError: If it cannot be measured.
    """
    steady = isinstance(lengths, int)
    asked = [lengths] if isinstance(lengths, int) else list(lengths)
    grid = [length for length in _LENGTHS if length < max(asked)] + [max(asked)]
    facts = _facts(record, threads, batch_size, grid)
    folder = default_cache_root().parent / "latency" if root is None else root
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"eager-{cache_key(facts)[:16]}.json"
    with FileLock(file.with_suffix(".lock")):  # two at once would disturb each other
        if not file.exists():
            say(f"Measuring the latency of plain PyTorch on this machine, for {str(file)!r}.")
            times = _measured(record, threads, batch_size, grid, seconds)
            write_whole(file, json.dumps({"facts": facts, **times}).encode())
            say_if_busy(times["waited"], file, say)
    times = json.loads(file.read_text("utf-8"))["steady" if steady else "changing"]
    return interpolated_mean([times[str(length)] for length in grid], grid, asked)


def _facts(
    record: ArchitectureRecord, threads: int, batch_size: int, grid: Sequence[int]
) -> dict[str, Any]:
    from lightning_app.optional_packages import installed_version

    here, plain = Processor.here(), record.as_plain()
    return {
        "version": VERSION,
        "processor": here.name,
        "features": sorted(here.features),
        "packages": {name: installed_version(name) for name in _PACKAGES},
        "threads": threads,
        "batch_size": batch_size,
        "lengths": list(grid),
        "config": {k: v for k, v in plain["config"].items() if isinstance(v, int | str)},
        "layers": plain.get("layers"),
    }


def _measured(
    record: ArchitectureRecord,
    threads: int,
    batch_size: int,
    grid: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """In a process of its own, with the threads from the start and nothing else in it."""
    asked = {
        "record": record.as_plain(),
        "threads": threads,
        "batch_size": batch_size,
        "lengths": list(grid),
        "seconds": seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "lightning_app.structure_search.reference_worker"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = " ".join(done.stderr.split())[-_SHOWN_OF_LOG:]
        raise InputError(f"Expected the latency of PyTorch to be measured, but: {said}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found
