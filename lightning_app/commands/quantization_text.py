"""Post-training quantization in words, for the terminal."""

import shlex
from pathlib import Path

from lightning_app.commands.quantization_result import AccuracySearch, QuantizationResult

NUM_SHOWN = 5
"""Groups that cost most."""


def quantization_summary(result: QuantizationResult) -> str:
    """Scores before and after, what is quantized, the size, the time, and what was left out."""
    before, after = result.before.score, result.after.score
    lines = [
        f"{result.task}: val/score {before:.4f} before, {after:.4f} quantized"
        f" ({_points(after - before)})",
        f"{_scheme(result)}: {result.num_quantized} modules quantized, {result.num_left} left in"
        f" float32 by `max_drop`; weights {result.weight_bytes / 1e6:,.1f} MB"
        f" ({result.float32_bytes / 1e6:,.1f} MB in float32); {result.seconds:.0f} s",
    ]
    if result.search is not None:
        lines += _search_lines(result.search)
    return "\n".join(lines)


def export_command(target: Path) -> str:
    """What to do next."""
    return (
        shlex.join(["glint", "export", "--ckpt_path", str(target), "--format", "openvino-int8"])
        + " --output DIR"
    )


def _scheme(result: QuantizationResult) -> str:
    if result.observer is None:
        return result.scheme
    return f"{result.scheme}, {result.observer} of {result.rows:,} training rows"


def _search_lines(search: AccuracySearch) -> list[str]:
    costliest = sorted(search.costs, key=lambda cost: (-cost.drop, -cost.rise))
    left = [cost.group.name for cost in costliest if cost.is_left]
    most = ", ".join(f"{c.group.name} {_points(-c.drop)}" for c in costliest[:NUM_SHOWN])
    word = "" if search.is_met else "NOT "
    lines = [
        f"on {search.rows:,} training rows held back: {_points(-search.drop)}, {word}within"
        f" max_drop={search.max_drop:g}; left in float32: {'; '.join(left) or 'nothing'}",
        f"each alone costs most: {most}",
    ]
    if not search.is_met:
        lines.append(
            "no choice of modules is within max_drop; the best one is written: train with"
            " `callbacks.QuantizationAwareTraining`, or try another scheme or observer"
        )
    return lines


def _points(change: float) -> str:
    return f"{100 * change + 0.0:+.2f} points"
