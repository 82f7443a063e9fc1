"""What a build should stop at."""

from collections.abc import Iterator, Sequence

import torch

from lightning_app.artifact.runtime import INT8, float32_format
from lightning_app.commands.benchmark_result import ArtifactResult, CellResult, Estimate
from lightning_app.functional.resampling import paired_ratio


def failures(artifacts: Sequence[ArtifactResult]) -> list[str]:
    """A sentence for each int8 artifact that is slower than its twin in float32, and for each
    whose weights are not as sparse as its manifest says."""
    return [*_slow_int8(artifacts), *_other_sparsity(artifacts)]


def latency_ratio(result: CellResult, reference: CellResult) -> Estimate:
    """Of the network's latency, by that of the reference in the same rounds."""
    rounds, others = (torch.tensor(r.network.rounds_ms) for r in (result, reference))
    return Estimate(*paired_ratio(rounds, others))


def _slow_int8(artifacts: Sequence[ArtifactResult]) -> Iterator[str]:
    for int8 in artifacts:
        for twin in artifacts:
            if _is_twin(int8, twin):
                yield from _slower_cells(int8, twin)


def _is_twin(int8: ArtifactResult, other: ArtifactResult) -> bool:
    return (
        int8.format.endswith(INT8)
        and other.format == float32_format(int8.format)
        and other.checkpoint_sha256 == int8.checkpoint_sha256
    )


def _slower_cells(int8: ArtifactResult, twin: ArtifactResult) -> Iterator[str]:
    ratios = {r.cell: latency_ratio(r, twin.in_cell(r.cell)) for r in int8.cells}
    slower = {cell: ratio for cell, ratio in ratios.items() if ratio.low > 1}
    if slower:
        cell, ratio = max(slower.items(), key=lambda item: item[1].value)
        yield (
            f"Expected {int8.name!r} ({int8.format}) to be no slower than {twin.name!r}"
            f" ({twin.format}), got {ratio.value:.2f} times its latency ({ratio.low:.2f} to"
            f" {ratio.high:.2f}) at {cell.in_words}; on this processor use {twin.name!r}."
        )


def _other_sparsity(artifacts: Sequence[ArtifactResult]) -> Iterator[str]:
    for artifact in artifacts:
        if artifact.nonzero is not None and artifact.nonzero != artifact.nominal_nonzero:
            yield (
                f"Expected {artifact.nominal_nonzero:,} of {artifact.parameters:,} weights of"
                f" {artifact.name!r} not to be zero, as its manifest says, got"
                f" {artifact.nonzero:,}; export it again."
            )
