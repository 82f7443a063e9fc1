"""What `glint benchmark` found."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lightning_app.commands.call_timer import Cell

RESULT_VERSION = 1
"""Of the JSON file: raise it when a reader of the last one would read this one wrongly."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval of 95 %.

    Args:
        value: Of all rows, or rounds.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def leaves_out_one(self) -> bool:
        """Whether a ratio differs from 1 by more than the noise."""
        return self.low > 1 or self.high < 1


@dataclass(frozen=True)
class Latency:
    """Of calls.

    Args:
        p50_ms: Median, in milliseconds.
        p95_ms: 95 of 100 calls take no longer.
        p99_ms: 99 of 100 calls take no longer.
        rows_per_second: Rows by the time that they took in all.
        median_ms: The median over rounds of each round's median, with its interval.
        rounds_ms: Median of each round.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    rows_per_second: float
    median_ms: Estimate
    rounds_ms: list[float]


@dataclass(frozen=True)
class CellResult:
    """One artifact in one cell.

    Args:
        cell: What a call computes.
        calls: That were timed, over all rounds.
        network: The network alone.
        call: From texts to answers; with the task's lengths only.
        tokenization: From texts to a padded batch; likewise.
        ratio_to_first: The network's latency by that of the first artifact; None for it.
    """

    cell: Cell
    calls: int
    network: Latency
    call: Latency | None = None
    tokenization: Latency | None = None
    ratio_to_first: Estimate | None = None


@dataclass(frozen=True)
class Scores:
    """Of one artifact's answers.

    Args:
        metrics: By name, with ``score``; empty without labels.
        flipped: Share of rows that the first artifact answers otherwise, in [0, 1]; None for
            regression.
        largest_difference: Of a logit from the first artifact's.
        calibration_error: Expected, of 15 bins; None for regression and without labels.
    """

    metrics: Mapping[str, Estimate]
    flipped: float | None
    largest_difference: float
    calibration_error: float | None


@dataclass(frozen=True)
class ArtifactResult:
    """All of one artifact, or baseline.

    Args:
        name: In tables.
        folder: Where it lies; the checkpoint of a baseline.
        format: As in the manifest; ``eager`` or ``compile`` of a baseline.
        runtime: What computes it.
        checkpoint_sha256: What it was exported from.
        size_mb: Of all its files, in 10^6 bytes; None for a baseline.
        load_seconds: To open it, imports included.
        loaded_mb: Most memory until then, beyond that of the bare interpreter, in 10^6 bytes.
        peak_mb: Most memory until the end, likewise.
        parameters: Of the network.
        nominal_nonzero: Parameters that are not zero, as the manifest says.
        nonzero: As counted in the file; None where they cannot be told.
        cells: In the order of the options.
        scores: With `--data`.
    """

    name: str
    folder: str
    format: str
    runtime: str
    checkpoint_sha256: str
    size_mb: float | None
    load_seconds: float
    loaded_mb: float
    peak_mb: float
    parameters: int
    nominal_nonzero: int
    nonzero: int | None
    cells: Sequence[CellResult]
    scores: Scores | None = None

    @property
    def nonzero_share(self) -> float:
        """As counted, or else as the manifest says."""
        return (self.nominal_nonzero if self.nonzero is None else self.nonzero) / self.parameters

    def in_cell(self, cell: Cell) -> CellResult:
        """Its result there."""
        return next(result for result in self.cells if result.cell == cell)


@dataclass(frozen=True)
class BenchmarkResult:
    """What was found of all artifacts.

    Args:
        processor: Name, cores, memory, and whether it has each of the features.
        options: What was asked for.
        artifacts: In the order named, baselines last.
        data: Source and number of rows of `--data`; empty without.
        failures: What a build should stop at, a sentence each.
    """

    processor: Mapping[str, Any]
    options: Mapping[str, Any]
    artifacts: Sequence[ArtifactResult]
    data: Mapping[str, Any] = field(default_factory=dict)
    failures: Sequence[str] = ()

    @property
    def cells(self) -> list[Cell]:
        """In the order of the options."""
        return [result.cell for result in self.artifacts[0].cells]

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        plain = {"benchmark_version": RESULT_VERSION, **asdict(self)}
        for artifact, result in zip(plain["artifacts"], self.artifacts, strict=True):
            artifact["nonzero_share"] = result.nonzero_share
            for cell in artifact["cells"]:
                ratio = cell["ratio_to_first"]
                if ratio is not None:
                    ratio["exceeds_noise"] = Estimate(**ratio).leaves_out_one
        return plain
