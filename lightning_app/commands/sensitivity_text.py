"""A sensitivity analysis in words: for the terminal, as a page, and as a plan file."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from lightning_app.commands.prunable_parts import Kind
from lightning_app.commands.sensitivity_result import Measurement, SensitivityResult

TITLES: dict[Kind, str] = {
    "heads": "attention heads",
    "neurons": "FFN neurons",
    "unstructured": "single weights",
}


def summary(result: SensitivityResult) -> str:
    """For the terminal: of each kind the part that costs most and the one that costs least."""
    rows = [["points lost", "", *(f"{share:.0%}" for share in result.shares)]]
    for kind in result.kinds:
        parts = sorted(result.parts(kind).values(), key=lambda part: -mean_drop(result, part))
        for label, part in (("most", parts[0]), ("least", parts[-1])):
            name = f"{label}: {short_name(part[0])}"
            rows.append([TITLES[kind], name, *(_points(result, m) for m in part)])
    return "\n".join([headline(result), "", *_aligned(rows), "", *plan_lines(result)]) + "\n"


def headline(result: SensitivityResult) -> str:
    """The whole model's score."""
    rows = ", ".join(f"{count:,} rows ({split})" for split, count in result.rows.items())
    return f"{result.task}: {100 * result.score:.2f} points (val/score) on {rows}"


def in_points(drop: float) -> str:
    """``1 point`` for 0.01."""
    return f"{100 * drop:g} {'point' if drop == 0.01 else 'points'}"


def plan_lines(result: SensitivityResult) -> list[str]:
    """What the plan removes, and what it costs before training."""
    return [
        f"plan: {result.planned_removal(kind):.0%} of the {TITLES[kind]}, each row of the table"
        f" for at most {in_points(result.max_drop)}; all at once, untrained: {100 * score:.2f}"
        for kind, score in result.together.items()
    ]


def markdown(result: SensitivityResult) -> str:
    """One table a kind: parts by shares, and the share in the plan."""
    blocks = [
        "# Sensitivity",
        f"{headline(result)}. Points that are lost when one part alone is pruned by a share,"
        " without training; below zero the score rises, and `-` would leave nothing.",
        "\n".join(f"- {line}" for line in plan_lines(result)),
    ]
    for kind in result.kinds:
        blocks += [f"## {TITLES[kind][0].upper()}{TITLES[kind][1:]}", _table(result, kind)]
    return "\n\n".join(blocks) + "\n"


def plan_yaml(result: SensitivityResult, checkpoint: str) -> str:
    """The plan as the pruning callbacks read it."""
    lines = [
        f"# How much each part of {checkpoint}",
        f"# can lose alone for at most {in_points(result.max_drop)} of the score.",
        f"# {headline(result)}",
        *(f"# {line}" for line in plan_lines(result)),
    ]
    for kind, shares in result.plan.items():
        lines += [f"{kind}:", *(f"  {name}: {share:g}" for name, share in shares.items())]
    return "\n".join(lines) + "\n"


def next_commands(
    result: SensitivityResult, configs: Sequence[str], checkpoint: str, plan: Path
) -> list[str]:
    """Fits that follow the plan, one a callback that can.

    Args:
        result: Says what was measured.
        configs: Of the command that measured it.
        checkpoint: To begin with.
        plan: The file.
    """
    useful = {
        "MagnitudePruning": any(result.plan.get("unstructured", {}).values()),
        "StructuredPruning": any(
            share for kind in ("heads", "neurons") for share in result.plan.get(kind, {}).values()
        ),
    }
    start = ["glint", "fit", *(word for path in configs for word in ("--config", path))]
    start += ["--model.model_name_or_path", checkpoint]
    return [
        shlex.join(
            [*start, f"--trainer.callbacks+=callbacks.{name}", f"--trainer.callbacks.plan={plan}"]
        )
        for name, is_useful in useful.items()
        if is_useful
    ]


def mean_drop(result: SensitivityResult, part: Sequence[Measurement]) -> float:
    """Over the shares that were measured."""
    drops = [points for m in part if (points := result.points(m)) is not None]
    return sum(drops) / len(drops) if drops else 0.0


def short_name(measurement: Measurement) -> str:
    """``layer 3``, ``layer 3 output.dense``, or the module's name."""
    if measurement.layer is None:
        return measurement.name.removeprefix("network.")
    if measurement.kind != "unstructured":
        return f"layer {measurement.layer}"
    return f"layer {measurement.layer} {name_within_layer(measurement)}"


def name_within_layer(measurement: Measurement) -> str:
    """``attention.self.query`` of ``network.bert.encoder.layer.3.attention.self.query``."""
    return measurement.name.rpartition(f".{measurement.layer}.")[2]


def _table(result: SensitivityResult, kind: Kind) -> str:
    header = [TITLES[kind], "of", *(f"{share:.0%}" for share in result.shares), "plan"]
    lines = [header, ["---", *("---:" for _ in header[1:])]]
    for name, part in result.parts(kind).items():
        points = [_points(result, m) for m in part]
        planned = f"{result.plan[kind][name]:.0%}"
        lines.append([short_name(part[0]), f"{part[0].count:,}", *points, planned])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _points(result: SensitivityResult, measurement: Measurement) -> str:
    points = result.points(measurement)
    return "-" if points is None else f"{points:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < 2 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
