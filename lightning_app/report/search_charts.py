"""The pictures of a search."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_app.report.painter import PALETTE, WIDTH
from lightning_app.search.domain import Domain

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


def parallel(plain: Mapping[str, Any], place: int) -> "Figure":
    """Parallel coordinates: a line a result over all keys of the space to its score.

    Args:
        plain: Contents of `search.json`, with ``space``.
        place: Of the score among the objectives; the better it is, the stronger the line.
    """
    figure, axes = _one(3.6)
    space = {key: Domain.of(key, written) for key, written in plain["space"].items()}
    scores = [candidate["objectives"][place] for candidate in plain["candidates"]]
    low, high = min(scores), max(scores)
    for candidate, score in sorted(
        zip(plain["candidates"], scores, strict=True), key=lambda pair: pair[1]
    ):
        share = 1.0 if high == low else (score - low) / (high - low)
        heights = [_height(domain, candidate["values"][key]) for key, domain in space.items()]
        strength = {"alpha": 0.15 + 0.85 * share**2, "linewidth": 0.8 + share}
        axes.plot([*heights, share], color=PALETTE[0], **strength)
    for column, domain in enumerate(space.values()):
        for value in domain.samples():
            text = f"{value:g}" if isinstance(value, int | float) else str(value)
            _beside(axes, text, column, _height(domain, value))
    for score, height in ((high, 1), (low, 0)):
        _beside(axes, f"{score:.3f}", len(space), height)
    labels = [*(key.rpartition(".")[2].replace("_", "\n") for key in space), "score"]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(space) + 0.35)
    axes.spines["left"].set_visible(False)
    return figure


def _beside(axes: Any, text: str, column: float, height: float) -> None:
    at = {"xytext": (3, 2), "textcoords": "offset points"}
    axes.annotate(text, (column, height), fontsize=7, **at)


def _height(domain: Domain, value: Any) -> float:
    """Where a value lies on its axis, in [0, 1]."""
    if domain.choices:
        return float(domain.choices.index(value) / max(1, len(domain.choices) - 1))
    if domain.high == domain.low:
        return 0.5
    if domain.log:
        return math.log(value / domain.low) / math.log(domain.high / domain.low)
    return float((value - domain.low) / (domain.high - domain.low))


def _one(height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()
