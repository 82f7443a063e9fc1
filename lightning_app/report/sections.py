"""What networks look like, how they learned, what is sensitive, what it cost, how to repeat it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lightning_app.report import charts, words
from lightning_app.report.blocks import (
    Block,
    Bullets,
    Commands,
    Paragraph,
    Picture,
    Section,
    Table,
)
from lightning_app.report.findings import Curves, Findings, Shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lightning_app.commands.sensitivity_result import SensitivityResult

_TAGS = (
    ("val/score", "score on the validation rows"),
    ("val/loss", "loss on the validation rows"),
    ("train/loss", "loss on the training rows"),
    ("compression/sparsity", "share of weights that are zero"),
    ("compression/parameters", "parameters"),
)
MAX_SHAPES = 6
"""More cannot be told apart in one picture."""
MAX_COSTLY = 10
_OF_JOULES = (
    "Joules are those of the whole processor during training and validation, by its own counters:"
    " whatever else ran meanwhile counts."
)


def structure(found: Findings) -> Section:
    """Heads, widths and zeros in each layer."""
    shapes = _different(found.shapes)
    blocks: list[Block] = []
    if shapes:
        shown = shapes[:MAX_SHAPES]
        draw = partial(charts.structure, shown)
        blocks.append(Picture("structure", "Heads and FFN neurons in each layer", draw))
    pruned = [shape for shape in shapes if shape.sparsity][:MAX_SHAPES]
    if pruned:
        draw = partial(charts.sparsity, pruned)
        blocks.append(Picture("sparsity", "Zeros in each layer", draw))
    if len(shapes) > MAX_SHAPES:
        blocks.append(Paragraph(f"{len(shapes) - MAX_SHAPES} further structures are not shown."))
    return Section("Structure", blocks)


def _different(shapes: Sequence[Shape]) -> list[Shape]:
    """Those of one look are one, by all of their names."""
    names: dict[tuple[Any, ...], list[str]] = {}
    for shape in shapes:
        names.setdefault((shape.heads, shape.widths, shape.sparsity), []).append(shape.name)
    return [Shape(", ".join(dict.fromkeys(of)), *look) for look, of in names.items()]


def learning(found: Findings) -> Section:
    """Curves of all fits."""
    return Section("Learning curves", list(_curves(found.curves)))


def _curves(curves: Sequence[Curves]) -> Iterator[Picture]:
    for tag, label in _TAGS:
        having = [fit for fit in curves if fit.scalars.get(tag)]
        # After a fit of one epoch there is one validation, which the table has: no curve.
        if any(len(fit.scalars[tag]) > 1 for fit in having):
            draw = partial(charts.curve, having, tag, label)
            yield Picture(tag.replace("/", "-"), label[0].upper() + label[1:], draw)


def sensitivity(found: Findings) -> Section:
    """Heat maps, and what quantizing each group costs."""
    blocks: list[Block] = []
    for number, plain in enumerate(found.sensitivities):
        name = "sensitivity" if number == 0 else f"sensitivity-{number + 1}"
        draw = partial(_heat_map, plain)
        title = f"{plain['name']}: points lost when each part alone is pruned"
        blocks.append(Picture(name, title, draw, is_wide=True))
    for plain in found.quantizations:
        blocks += _quantization(plain)
    return Section("Sensitivity", blocks)


def _heat_map(plain: Mapping[str, Any]) -> "Figure":
    from lightning_app.commands.sensitivity_picture import heat_map

    return heat_map(_sensitivity_result(plain))


def _sensitivity_result(plain: Mapping[str, Any]) -> "SensitivityResult":
    from lightning_app.commands.sensitivity_result import Measurement, SensitivityResult

    rows = [{k: v for k, v in m.items() if k != "drop"} for m in plain["measurements"]]
    return SensitivityResult(
        task=plain["task"],
        rows=plain["rows"],
        score=plain["score"],
        loss=plain["loss"],
        shares=tuple(plain["shares"]),
        max_drop=plain["max_drop"],
        measurements=tuple(Measurement(**row) for row in rows),
        together=plain["together"],
        seconds=plain["seconds"],
    )


def _quantization(plain: Mapping[str, Any]) -> Iterator[Block]:
    before, after = plain["before"]["score"], plain["after"]["score"]
    yield Paragraph(
        f"{plain['name']}: {plain['num_quantized']} modules quantized ({plain['scheme']}),"
        f" {plain['num_left']} left in float32; score {before:.4f} before, {after:.4f} after."
    )
    costs = (plain.get("search") or {}).get("costs") or []
    if costs:
        costly = sorted(costs, key=lambda cost: (-cost["drop"], -cost["rise"]))[:MAX_COSTLY]
        rows = [
            [
                c["group"],
                words.points(c["drop"]),
                f"{c['rise']:+.4f}",
                "yes" if c["is_left"] else "",
            ]
            for c in costly
        ]
        head = ["costliest when it alone is quantized", "points", "loss", "left in float32"]
        yield Table(head, rows)


def cost(found: Findings) -> Section:
    """Seconds, and energy where it was read."""
    if not found.costs:
        return Section("Cost", [])
    has_energy = any(part.joules is not None for part in found.costs)
    total = sum(part.seconds for part in found.costs)
    rows = [
        [
            part.name,
            part.kind,
            words.clock(part.seconds),
            f"{part.seconds / max(total, 1e-9):.0%}",
            *([words.plain(part.joules, ",.0f")] if has_energy else []),
        ]
        for part in found.costs
    ]
    joules = words.plain(sum(part.joules or 0.0 for part in found.costs), ",.0f")
    rows.append(["all", "", words.clock(total), "100%", *([joules] if has_energy else [])])
    head = ["", "kind", "min:s", "share", *(["joules"] if has_energy else [])]
    blocks: list[Block] = [Table(head, rows, words=2, marked=[len(rows) - 1])]
    if has_energy:
        blocks.append(Paragraph(_OF_JOULES))
    return Section("Cost", blocks)


def reproduce(found: Findings, command: str) -> Section:
    """The commands that led here, and the one that made this page."""
    if not found.sources:
        return Section("Reproduce", [])
    named = [f"{name} ({kind})" for name, kind in found.sources]
    return Section("Reproduce", [Bullets(named), Commands([*found.commands, command])])
