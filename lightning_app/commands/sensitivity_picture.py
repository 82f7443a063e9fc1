"""A sensitivity analysis as a heat map."""

from typing import TYPE_CHECKING, Any

from lightning_app.commands.sensitivity_result import Measurement, SensitivityResult
from lightning_app.commands.sensitivity_text import (
    TITLES,
    headline,
    in_points,
    mean_drop,
    name_within_layer,
    short_name,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Panel = dict[str, list[Measurement]]
"""Rows of a panel, by their label."""

MAX_COLUMNS = 4
TICKS = (0, 1, 2, 5, 10, 20, 50, 100)
OTHER = "other weights"
MAX_OTHER_ROWS = 24
"""Of weights outside of layers, those that cost most are shown."""


def heat_map(result: SensitivityResult) -> "Figure":
    """One panel for heads, for neurons and for each linear layer of a layer; rows are layers,
    columns shares, colour and number the points lost, and the plan is framed."""
    from matplotlib.figure import Figure

    panels = _panels(result)
    columns = min(MAX_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    longest = max(len(panel) for panel in panels.values())
    labels = max(len(label) for panel in panels.values() for label in panel)
    width = columns * (0.8 + 0.5 * len(result.shares) + 0.07 * labels) + 1.2
    height = rows * (0.75 + 0.27 * longest) + 1.1
    figure = Figure(figsize=(max(width, 7), height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    norm = _norm(result)
    for place, panel_axes in enumerate(axes.flat):
        if place >= len(panels):
            panel_axes.set_visible(False)
            continue
        title = list(panels)[place]
        image = _draw(panel_axes, result, title, panels[title], norm)
    ticks = [points for points in TICKS if points <= norm.vmax]
    figure.colorbar(image, ax=axes, label="points lost", shrink=0.8, aspect=30, ticks=ticks)
    figure.suptitle(
        f"Points lost when this alone is pruned, without training\n{headline(result)}\n"
        f"framed: the plan, at most {in_points(result.max_drop)} each",
        fontsize=9,
    )
    return figure


def _panels(result: SensitivityResult) -> dict[str, Panel]:
    panels: dict[str, Panel] = {}
    others: Panel = {}
    for kind in result.kinds:
        for part in result.parts(kind).values():
            first = part[0]
            if first.layer is None:
                others[short_name(first)] = part
                continue
            title = TITLES[kind] if kind != "unstructured" else name_within_layer(first)
            panels.setdefault(title, {})[str(first.layer)] = part
    if others:
        dearest = sorted(others, key=lambda name: -mean_drop(result, others[name]))
        panels[OTHER] = {name: others[name] for name in dearest[:MAX_OTHER_ROWS]}
    return panels


def _norm(result: SensitivityResult) -> Any:
    from matplotlib.colors import PowerNorm

    drops = [points for m in result.measurements if (points := result.points(m)) is not None]
    # By the square root: one point must show beside fifty. Gains are as white as zero.
    return PowerNorm(0.5, vmin=0, vmax=max([*drops, 1.0]), clip=True)


def _draw(axes: Any, result: SensitivityResult, title: str, panel: Panel, norm: Any) -> Any:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    colours = colormaps["OrRd"].with_extremes(bad="#e4e4e4")
    table = [[_or_nan(result.points(m)) for m in part] for part in panel.values()]
    image = axes.imshow(table, norm=norm, cmap=colours, aspect="auto")
    for row, part in enumerate(panel.values()):
        planned = result.plan[part[0].kind][part[0].name]
        for column, measurement in enumerate(part):
            points = result.points(measurement)
            colour = "white" if points is not None and norm(points) > 0.6 else "black"
            text = "–" if points is None else _number(points)
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
            if measurement.share == planned:
                corner = (column - 0.46, row - 0.46)
                axes.add_patch(
                    Rectangle(corner, 0.92, 0.92, fill=False, edgecolor="#1f5fa8", linewidth=1.6)
                )
    axes.set_xticks(range(len(result.shares)), [f"{share:.0%}" for share in result.shares])
    axes.set_yticks(range(len(panel)), list(panel))
    axes.tick_params(labelsize=8, length=0)
    axes.set_title(title, fontsize=9)
    if title != OTHER and axes.get_subplotspec().is_first_col():
        axes.set_ylabel("layer", fontsize=8)
    if axes.get_subplotspec().is_last_row():
        axes.set_xlabel("share pruned", fontsize=8)
    return image


def _number(points: float) -> str:
    text = f"{points:.1f}"
    return "0.0" if text == "-0.0" else text


def _or_nan(points: float | None) -> float:
    return float("nan") if points is None else points
