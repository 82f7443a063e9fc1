"""The pictures of a report."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lightning_app.report.findings import Curves, Model, Shape, Value
from lightning_app.report.labels import label_offsets
from lightning_app.report.painter import PALETTE, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROOM = 0.12
"""Around the points, as a share of their range: for labels."""
_FRONT_HEIGHT = 3.7
_SMOOTHED = 50
"""Points of a curve from which on it is smoothed."""


def front(models: Sequence[Model], across: Callable[[Model], Value | None], label: str) -> "Figure":
    """Score against a cost; what nothing beats in both is joined by a line.

    Args:
        models: With a score and the cost each.
        across: The cost, lower is better.
        label: Of the cost's axis.
    """
    figure, axes = _one(_FRONT_HEIGHT)
    points = [(m, c, m.score) for m in models if (c := across(m)) is not None and m.score]
    for number, (model, cost, score) in enumerate(points):
        colour = PALETTE[number % len(PALETTE)]
        axes.errorbar(
            cost.value,
            score.value,
            xerr=_arms(cost),
            yerr=_arms(score),
            fmt="*" if model.is_chosen else "o",
            markersize=13 if model.is_chosen else 7,
            color=colour,
            ecolor=colour,
            elinewidth=0.8,
            zorder=3,
        )
    best = _undominated([(cost.value, score.value) for _, cost, score in points])
    if len(best) > 1:
        axes.plot(*zip(*best, strict=True), color="0.5", linewidth=1, linestyle=":", zorder=1)
    axes.set(xlabel=label, ylabel="score")
    axes.set_xlim(0, 1.12 * max(cost.high or cost.value for _, cost, _ in points))
    axes.margins(y=_ROOM)
    places = [(cost.value, score.value) for _, cost, score in points]
    _named(axes, places, [model.label for model, _, _ in points])
    return figure


def structure(shapes: Sequence[Shape]) -> "Figure":
    """Heads and FFN neurons left in each layer, a colour a model."""
    figure, (heads, widths) = _two(1.4 + 0.16 * _bars(shapes))
    for axes, title, counts in (
        (heads, "heads", [shape.heads for shape in shapes]),
        (widths, "FFN neurons", [shape.widths for shape in shapes]),
    ):
        _grouped(axes, counts)
        axes.set(title=title, xlabel="left")
    heads.set_ylabel("layer")
    _legend(figure, heads, shapes)
    return figure


def sparsity(shapes: Sequence[Shape]) -> "Figure":
    """Share of zeros among the weights of each layer."""
    figure, axes = _one(1.5 + 0.16 * _bars(shapes))
    _grouped(axes, [[100 * share for share in shape.sparsity] for shape in shapes])
    axes.set(xlabel="weights that are zero, %", ylabel="layer")
    axes.set_xlim(0, 100)
    _legend(figure, axes, shapes)
    return figure


def curve(curves: Sequence[Curves], tag: str, label: str) -> "Figure":
    """One tag by step, a line a fit.

    Args:
        curves: Of the fits that logged it.
        tag: Of TensorBoard.
        label: Of the axis.
    """
    figure, axes = _one(3.0)
    for place, fit in enumerate(curves):
        steps, values = zip(*fit.scalars[tag], strict=True)
        colour = PALETTE[place % len(PALETTE)]
        if len(values) >= _SMOOTHED:
            axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            values = tuple(_smoothed(values))
        marker = "o" if len(values) <= 12 else None
        axes.plot(steps, values, color=colour, label=fit.name, marker=marker, markersize=4)
    axes.set(xlabel="step", ylabel=label)
    if len(curves) > 1:
        axes.legend()
    return figure


def reliability(bins: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> "Figure":
    """Accuracy by confidence; on the diagonal a model is right as often as it says.

    Args:
        bins: For each model its name, and confidence and accuracy of each bin.
    """
    figure, axes = _one(3.4)
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle=":")
    for (name, points), marker in zip(bins, "os^D", strict=False):
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, label=name)
    lowest = min(point for _, points in bins for confidence in points for point in confidence)
    axes.set(xlabel="how sure it is", ylabel="how often it is right")
    axes.set_xlim(max(0, min(lowest, 0.5) - 0.02), 1.02)
    axes.set_ylim(max(0, min(lowest, 0.5) - 0.02), 1.02)
    axes.legend(loc="upper left")
    return figure


def _one(height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _two(height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(1, 2, sharey=True)


def _bars(shapes: Sequence[Shape]) -> int:
    return max(len(shape.heads) for shape in shapes) * (len(shapes) + 1)


def _grouped(axes: Any, groups: Sequence[Sequence[float]]) -> None:
    """Bars side by side, the first layer on top."""
    from matplotlib.ticker import MaxNLocator

    thickness = 0.8 / len(groups)
    for place, counts in enumerate(groups):
        shift = (place - (len(groups) - 1) / 2) * thickness
        where = [layer + shift for layer in range(len(counts))]
        bars = axes.barh(where, counts, thickness * 0.92, color=PALETTE[place % len(PALETTE)])
        axes.bar_label(bars, fmt="{:.4g}", padding=2, fontsize=7)
    layers = max(map(len, groups))
    axes.set_yticks(range(layers), [str(layer + 1) for layer in range(layers)])
    axes.set_ylim(layers - 0.45, -0.55)
    axes.margins(x=0.2)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(visible=False, axis="y")


def _legend(figure: Any, axes: Any, shapes: Sequence[Shape]) -> None:
    if len(shapes) > 1:
        names = [shape.name for shape in shapes]
        figure.legend(axes.containers[: len(names)], names, loc="outside upper left", ncols=2)


def _arms(value: Value) -> Any:
    """Lengths below and above, ``[2, 1]``; None without an interval."""
    if value.low is None or value.high is None:
        return None
    return [[max(0.0, value.value - value.low)], [max(0.0, value.high - value.value)]]


def _named(axes: Any, places: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Names beside points, in their colours."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    within = [((x - left) / (right - left), (y - bottom) / (top - bottom)) for x, y in places]
    offsets = label_offsets(within, names, 65 * WIDTH, 60 * _FRONT_HEIGHT)
    for number, (place, name, offset) in enumerate(zip(places, names, offsets, strict=True)):
        axes.annotate(
            name,
            place,
            xytext=offset,
            textcoords="offset points",
            ha="left" if offset[0] > 0 else "right",
            fontsize=8,
            color=PALETTE[number % len(PALETTE)],
        )


def _undominated(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    best: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or score > best[-1][1]:
            best.append((cost, score))
    return best


def _smoothed(values: Sequence[float]) -> list[float]:
    """A moving mean over a twentieth of the points."""
    half = max(1, len(values) // 40)
    windows = (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]
