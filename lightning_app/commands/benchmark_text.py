"""What `glint benchmark` found, as tables on the terminal."""

from collections.abc import Iterator, Sequence

from lightning_app.commands.benchmark_result import (
    ArtifactResult,
    BenchmarkResult,
    CellResult,
    Estimate,
    Latency,
)

NONE = "-"

_LATENCY = ("p50 ms", "p95 ms", "p99 ms", "rows/s")


def benchmark_text(result: BenchmarkResult) -> str:
    """All tables, with what they were measured on above."""
    blocks = [_machine(result), _sizes(result), *_latencies(result)]
    if result.data:
        blocks.append(_scores(result))
    return "\n\n".join(blocks) + "\n"


def _machine(result: BenchmarkResult) -> str:
    here, features = result.processor, result.processor["features"]
    has = [name for name, there in features.items() if there]
    has_not = [name for name, there in features.items() if not there]
    return (
        f"{here['name']}, {here['cores']:g} cores; has {', '.join(has) or 'none'};"
        f" has not {', '.join(has_not) or 'none'}\n"
        f"{result.options['rounds']} rounds in rotation, each artifact in a process of its own"
    )


def _sizes(result: BenchmarkResult) -> str:
    head = ["", "format", "runtime", "MB", "load s", "memory MB", "parameters", "not zero"]
    return _table([head, *(_size(artifact) for artifact in result.artifacts)], words=3)


def _size(artifact: ArtifactResult) -> list[str]:
    return [
        artifact.name,
        artifact.format,
        artifact.runtime,
        NONE if artifact.size_mb is None else f"{artifact.size_mb:.1f}",
        f"{artifact.load_seconds:.2f}",
        f"{artifact.peak_mb:.0f}",
        f"{artifact.parameters:,}",
        f"{artifact.nonzero_share:.1%}" + " (manifest)" * (artifact.nonzero is None),
    ]


def _latencies(result: BenchmarkResult) -> Iterator[str]:
    for cell in result.cells:
        found = {artifact.name: artifact.in_cell(cell) for artifact in result.artifacts}
        head = ["", "calls", *_LATENCY, "times the first's", ""]
        rows = [
            [name, f"{r.calls:,}", *_latency(r.network), *_ratio(r.ratio_to_first)]
            for name, r in found.items()
        ]
        yield f"network alone, {cell.in_words}\n{_table([head, *rows])}"
        if cell.length is None:
            head = ["", *_LATENCY, "tokenization p50 ms"]
            rows = [[name, *_whole_call(r)] for name, r in found.items()]
            yield f"whole call, {cell.in_words}\n{_table([head, *rows])}"


def _latency(latency: Latency) -> list[str]:
    times = (latency.p50_ms, latency.p95_ms, latency.p99_ms)
    return [*map(_milliseconds, times), f"{latency.rows_per_second:.1f}"]


def _milliseconds(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _ratio(ratio: Estimate | None) -> list[str]:
    if ratio is None:
        return [NONE, ""]
    if not ratio.leaves_out_one:
        return [_estimate(ratio, 2), "within the noise"]
    return [_estimate(ratio, 2), "slower" if ratio.value > 1 else "faster"]


def _whole_call(result: CellResult) -> list[str]:
    assert result.call is not None
    assert result.tokenization is not None
    return [*_latency(result.call), _milliseconds(result.tokenization.p50_ms)]


def _scores(result: BenchmarkResult) -> str:
    first = result.artifacts[0].scores
    assert first is not None
    names = list(first.metrics)
    head = ["", *names, "flipped", "calibration error"]
    table = _table([head, *(_score(artifact, names) for artifact in result.artifacts)])
    return f"answers to {result.data['source']} ({result.data['rows']:,} rows)\n{table}"


def _score(artifact: ArtifactResult, names: Sequence[str]) -> list[str]:
    scores = artifact.scores
    assert scores is not None
    error = scores.calibration_error
    return [
        artifact.name,
        *(_estimate(scores.metrics[name], 3) for name in names),
        NONE if scores.flipped is None else f"{scores.flipped:.2%}",
        NONE if error is None else f"{error:.3f}",
    ]


def _estimate(estimate: Estimate, digits: int) -> str:
    value, low, high = (f"{v:.{digits}f}" for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def _table(rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Aligned columns; a last column without a heading holds words, too.

    Args:
        rows: Of as many cells each, the heading first.
        words: How many columns from the left hold words, which begin in one line.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    of_words = {*range(words), *(place for place, title in enumerate(rows[0]) if not title)}
    lines = (
        "  ".join(
            cell.ljust(widths[place]) if place in of_words else cell.rjust(widths[place])
            for place, cell in enumerate(row)
        )
        for row in rows
    )
    return "\n".join(f"  {line.rstrip()}" for line in lines)
