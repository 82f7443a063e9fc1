"""The pictures of a search."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_app.report.painter import PALETTE, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNITS = {"latency_ms": "latency, ms", "size_mb": "size, MB"}


def front(plain: Mapping[str, Any], other: str) -> "Figure":
    """Score against another objective; what nothing beats is joined by a line.

    Args:
        plain: Contents of `search.json`.
        other: The objective, lower is better.
    """
    figure, axes = _one(3.4)
    names = list(plain["objectives"])
    across, up = names.index(other), names.index("score")

    def points(candidates: Any) -> Any:
        places = sorted((c["objectives"][across], c["objectives"][up]) for c in candidates)
        return zip(*places, strict=True)

    axes.plot(*points(plain["candidates"]), "o", color="0.6", markersize=4, label="each result")
    colour = PALETTE[0]
    axes.plot(*points(plain["front"]), "o-", color=colour, markersize=5, label="front")
    for candidate in plain["front"]:
        axes.annotate(
            str(candidate["trial"]),
            (candidate["objectives"][across], candidate["objectives"][up]),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=7,
            color=colour,
        )
    axes.set(xlabel=_UNITS.get(other, other), ylabel="score, cross-validated")
    axes.legend(loc="lower right")
    return figure


def importances(shares: Mapping[str, float]) -> "Figure":
    """Bars, the largest on top.

    Args:
        shares: Of the score's variance, by key, largest first.
    """
    figure, axes = _one(0.9 + 0.32 * len(shares))
    places = range(len(shares))
    bars = axes.barh(places, [100 * share for share in shares.values()], 0.6, color=PALETTE[0])
    axes.bar_label(bars, fmt="{:.0f}", padding=3, fontsize=8)
    axes.set_yticks(places, [key.rpartition(".")[2] for key in shares])
    axes.invert_yaxis()
    axes.set_xlim(0, 108)
    axes.set(xlabel="share of the score's variance, %")
    axes.grid(visible=False, axis="y")
    return figure


def history(plain: Mapping[str, Any], place: int) -> "Figure":
    """The score of each result by its trial, and the best so far.

    Args:
        plain: Contents of `search.json`.
        place: Of the score among the objectives.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _one(3.0)
    trials = [candidate["trial"] for candidate in plain["candidates"]]
    scores = [candidate["objectives"][place] for candidate in plain["candidates"]]
    best = [max(scores[: n + 1]) for n in range(len(scores))]
    axes.plot(trials, scores, "o", color="0.6", markersize=4, label="each result")
    axes.step(trials, best, where="post", color=PALETTE[0], label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel="score, cross-validated")
    axes.legend(loc="lower right")
    return figure


def _one(height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()
