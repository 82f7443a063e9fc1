"""What `glint benchmark` found, as a picture."""

import io
from typing import Any

from lightning_app.commands.benchmark_result import BenchmarkResult, Estimate

_DPI = 150
_LABEL_STEPS = 5  # upwards, so that the labels of neighbours do not cover each other
_ROOM_FOR_LABELS = 1.25


def picture(result: BenchmarkResult) -> bytes:
    """A PNG: score against latency in the first cell, or without scores a bar an artifact.

    Lines through points, and at the ends of bars, are intervals of 95 %.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    scores = [a.scores for a in result.artifacts if a.scores is not None and a.scores.metrics]
    if scores:
        _draw_points(axes, result)
    else:
        _draw_bars(axes, result)
    axes.set_xlabel("median latency of the network, ms", fontsize=9)
    axes.set_title(f"{result.cells[0].in_words}\n{result.processor['name']}", fontsize=9)
    axes.tick_params(labelsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    return stream.getvalue()


def _draw_points(axes: Any, result: BenchmarkResult) -> None:
    for place, artifact in enumerate(result.artifacts):
        assert artifact.scores is not None
        latency = artifact.cells[0].network.median_ms
        score = artifact.scores.metrics["score"]
        colour = f"C{place}"
        axes.errorbar(
            latency.value,
            score.value,
            color=colour,
            xerr=_arms(latency),
            yerr=_arms(score),
            fmt="o",
            capsize=3,
            linewidth=1,
        )
        axes.annotate(
            artifact.name,
            (latency.value, score.value),
            xytext=(6, 6 + 11 * (place % _LABEL_STEPS)),
            textcoords="offset points",
            fontsize=8,
            color=colour,
        )
    longest = max(artifact.cells[0].network.median_ms.high for artifact in result.artifacts)
    axes.set_xlim(0, _ROOM_FOR_LABELS * longest)
    axes.set_ylabel(f"score on {result.data['rows']:,} rows", fontsize=9)
    axes.grid(linewidth=0.3)


def _draw_bars(axes: Any, result: BenchmarkResult) -> None:
    for place, artifact in enumerate(result.artifacts):
        latency = artifact.cells[0].network.median_ms
        axes.barh(place, latency.value, height=0.6, color="#7aa6d6")
        axes.errorbar(latency.value, place, xerr=_arms(latency), color="black", capsize=3)
        axes.annotate(
            f"{latency.value:.3g}",
            (latency.high, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(result.artifacts)), [a.name for a in result.artifacts])
    axes.invert_yaxis()
    axes.margins(x=0.15)


def _arms(estimate: Estimate) -> Any:
    """Lengths below and above the value, ``[2, 1]``."""
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return [[max(0.0, below)], [max(0.0, above)]]
