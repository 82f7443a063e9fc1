"""How fast a folder that was just written is on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BATCH_SIZES = (1, 32)
LENGTH = 128
MIN_CALLS = 3
_WARM_UP_SECONDS = 0.2


@dataclass(frozen=True)
class Speed:
    """Latency of the network alone.

    Args:
        processor: Its maker's name for it.
        threads: Computed with.
        runtime: That computed, with its version.
        length: Tokens of each row.
        p50_ms: Median in milliseconds, by rows of a call.
    """

    processor: str
    threads: int
    runtime: str
    length: int
    p50_ms: Mapping[int, float]


def measure_speed(folder: Path, seconds: float = 1.0) -> Speed:
    """Open an artifact as a user would, and time it with all cores of this process.

    Args:
        folder: Whole, with its manifest.
        seconds: For each batch size; at least three calls are made.
    """
    import torch

    from lightning_app.artifact.loading import open_artifact
    from lightning_app.artifact.runtime import runtime_version
    from lightning_app.commands.call_timer import CallTimer, Cell
    from lightning_app.functional.resampling import percentile
    from lightning_app.processor import Processor

    here = Processor.here()
    threads = max(1, int(here.cores))
    model = open_artifact(folder, threads)
    length = min(LENGTH, model.manifest.max_seq_length)
    found = {}
    for batch_size in BATCH_SIZES:
        timer = CallTimer(model, Cell(batch_size, length, threads))
        needed = timer.warm_up(min(seconds, _WARM_UP_SECONDS))
        times = timer.time(0, max(MIN_CALLS, round(seconds / needed)))["network"]
        found[batch_size] = percentile(torch.tensor(times), 50) * 1000
    return Speed(here.name, threads, runtime_version(model.manifest.format), length, found)
