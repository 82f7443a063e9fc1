"""What a search has found, as pictures."""

import io
from collections.abc import Sequence
from typing import Any

from lightning_app.search.domain import Domain
from lightning_app.search.results import Findings

_DPI = 150
_SIZE = (7, 4.5)


def history_picture(found: Findings) -> bytes:
    """A PNG: the score of each result against its number, and the best so far."""
    figure, axes = _figure()
    scores = _scores(found)
    best = [max(scores[: n + 1]) for n in range(len(scores))]
    trials = [candidate.trial for candidate in found.candidates]
    axes.scatter(trials, scores, s=14, color="C0", label="each result")
    axes.step(trials, best, where="post", color="C3", linewidth=1.2, label="best so far")
    axes.set_xlabel("trial", fontsize=9)
    axes.set_ylabel(_score_label(found), fontsize=9)
    axes.legend(fontsize=8)
    axes.grid(linewidth=0.3)
    return _png(figure)


def front_picture(found: Findings) -> bytes:
    """A PNG: score against the second objective, and the front of the two."""
    names = found.specification.objectives
    place = names.index("score")
    other = next(n for n in range(len(names)) if n != place)
    figure, axes = _figure()
    points = [(c.objectives[other], c.objectives[place]) for c in found.candidates]
    axes.scatter(*zip(*points, strict=True), s=14, color="0.6", label="each result")
    front = sorted((c.objectives[other], c.objectives[place], c.trial) for c in found.front)
    axes.plot(
        [x for x, _, _ in front], [y for _, y, _ in front], "o-", color="C3", ms=4, label="front"
    )
    for x, y, trial in front:
        axes.annotate(
            str(trial), (x, y), xytext=(4, -11), textcoords="offset points", fontsize=7, color="C3"
        )
    axes.set_xlabel(names[other].replace("_", ", "), fontsize=9)
    axes.set_ylabel(_score_label(found), fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(linewidth=0.3)
    return _png(figure)


def parallel_picture(found: Findings) -> bytes:
    """A PNG: a line a result over all keys of the space to its score; the better, the darker."""
    space = {key: Domain.of(key, written) for key, written in found.specification.space.items()}
    figure, axes = _figure()
    scores = _scores(found)
    low, high = min(scores), max(scores)
    for candidate, score in sorted(zip(found.candidates, scores, strict=True), key=lambda p: p[1]):
        share = 1.0 if high == low else (score - low) / (high - low)
        heights = [_height(space[key], candidate.values[key]) for key in space]
        colour = (0.13 + 0.72 * (1 - share),) * 2 + (0.55 + 0.35 * (1 - share),)
        axes.plot([*heights, share], color=colour, linewidth=0.8 + share)
    for place, (_, domain) in enumerate(space.items()):
        axes.axvline(place, color="0.7", linewidth=0.5)
        for value in domain.samples():
            axes.annotate(
                f"{value:g}" if isinstance(value, int | float) else str(value),
                (place, _height(domain, value)),
                fontsize=7,
                xytext=(3, 2),
                textcoords="offset points",
            )
    axes.annotate(f"{high:.4f}", (len(space), 1), fontsize=7, ha="right")
    axes.annotate(f"{low:.4f}", (len(space), 0), fontsize=7, ha="right")
    labels = [*(key.replace(".", "\n") for key in space), "score"]
    axes.set_xticks(range(len(labels)), labels, fontsize=7)
    axes.set_yticks([])
    axes.margins(x=0.03)
    return _png(figure)


def _figure() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.tick_params(labelsize=8)
    return figure, axes


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    return stream.getvalue()


def _scores(found: Findings) -> Sequence[float]:
    place = found.specification.objectives.index("score")
    return [candidate.objectives[place] for candidate in found.candidates]


def _score_label(found: Findings) -> str:
    used, folds = found.specification.folds_used, found.specification.folds
    return f"score, mean of {used} of {folds} folds" if used > 1 else f"score, 1 of {folds} folds"


def _height(domain: Domain, value: Any) -> float:
    """Where a value lies on its axis, in [0, 1]."""
    import math

    if domain.choices:
        return domain.choices.index(value) / max(1, len(domain.choices) - 1)
    if domain.high == domain.low:
        return 0.5
    if domain.log:
        return math.log(value / domain.low) / math.log(domain.high / domain.low)
    return float((value - domain.low) / (domain.high - domain.low))
