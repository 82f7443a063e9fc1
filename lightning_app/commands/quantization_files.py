"""The files that `glint quantize` leaves beside the checkpoint: what each group costs."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_app.commands.quantization_result import (
    AccuracySearch,
    QuantizationResult,
    cost_as_plain,
)
from lightning_app.commands.whole_file import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BARS = 60
"""Of more groups those that cost most are shown."""


def write_quantization_files(
    result: QuantizationResult, target: Path, checkpoint: str
) -> list[Path]:
    """Write `quantized.json`, and with a search `quantized.csv` and `quantized.png`.

    Args:
        result: What was done.
        target: The quantized checkpoint, `quantized.ckpt`; they stand beside it.
        checkpoint: What was quantized, for the reader.

    Returns:
        The files.
    """
    table = {"checkpoint": checkpoint, **result.as_plain()}
    contents = {".json": (json.dumps(table, indent=1) + "\n").encode()}
    if result.search is not None:
        picture = io.BytesIO()
        cost_bars(result.search, result.task).savefig(picture, format="png", dpi=150)
        contents[".csv"] = _csv(result.search).encode()
        contents[".png"] = picture.getvalue()
    files = {target.with_suffix(suffix): content for suffix, content in contents.items()}
    for file, content in files.items():
        write_whole(file, content)
    return list(files)


def cost_bars(search: AccuracySearch, task: str) -> "Figure":
    """One bar a group, the costliest on top: points lost, and beside it how the loss rises."""
    from matplotlib.figure import Figure

    costs = sorted(search.costs, key=lambda cost: (-cost.drop, -cost.rise))[:MAX_BARS]
    figure = Figure(figsize=(10, 1.4 + 0.22 * len(costs)), layout="constrained")
    by_score, by_loss = figure.subplots(1, 2, sharey=True)
    colours = ["#c0504d" if cost.is_left else "#1f5fa8" for cost in costs]
    by_score.barh(range(len(costs)), [100 * cost.drop for cost in costs], color=colours)
    by_loss.barh(range(len(costs)), [cost.rise for cost in costs], color=colours)
    by_score.set_yticks(range(len(costs)), [cost.group.name for cost in costs], fontsize=7)
    by_score.invert_yaxis()
    by_score.set_xlabel("points lost", fontsize=8)
    by_loss.set_xlabel("loss gained", fontsize=8)
    figure.suptitle(
        f"{task}: what each costs when it alone is quantized, on {search.rows:,} training rows held"
        f" back\nred: left in float32, so that all cost {100 * search.drop:.2f} points",
        fontsize=9,
    )
    return figure


def _csv(search: AccuracySearch) -> str:
    text = io.StringIO()
    rows = [cost_as_plain(cost) for cost in search.costs]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "modules": " ".join(row["modules"])})
    return text.getvalue()
