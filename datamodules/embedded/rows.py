"""The rows of a split, as plain Python values."""

import hashlib
import random
from functools import cache

from datamodules.embedded.draw import Draw
from datamodules.embedded.tasks import TASKS, EmbeddedTask

Row = dict[str, object]


def embedded_rows(task_name: str, split: str) -> list[Row]:
    """The rows of one split; the same at every call, on every machine.

    Args:
        task_name: One of the ten names of GLUE's configurations, `cola` to `ax`.
        split: A split of that task. The labels of the test splits are -1, as in GLUE.

    Raises:
        ValueError: If there is no such task or split.
    """
    if task_name not in TASKS:
        raise ValueError(f"Expected `task_name` to be one of {list(TASKS)}, got {task_name!r}.")
    splits = TASKS[task_name].splits
    if split not in splits:
        raise ValueError(f"Expected `split` of {task_name} in {list(splits)}, got {split!r}.")
    return [dict(row) for row in _all_rows(task_name)[split]]


# The splits are made together: a row is refused where any earlier split has its text.
@cache
def _all_rows(task_name: str) -> dict[str, list[Row]]:
    task = TASKS[task_name]
    seen: set[tuple[str, ...]] = set()
    return {split: _split_rows(task_name, task, split, seen) for split in task.splits}


def _split_rows(
    task_name: str, task: EmbeddedTask, split: str, seen: set[tuple[str, ...]]
) -> list[Row]:
    draw = Draw(random.Random(_seed(f"{task_name}/{split}")), _part(split))
    rows: list[Row] = []
    while len(rows) < task.splits[split]:
        row = task.make_row(draw)
        texts = tuple(value for value in row.values() if isinstance(value, str))
        if texts in seen:
            continue
        seen.add(texts)
        rows.append({**row, "idx": len(rows)})
    return [_hidden(row) for row in rows] if split.startswith("test") else rows


def _hidden(row: Row) -> Row:
    label = row["label"]
    return {**row, "label": -1.0 if isinstance(label, float) else -1}


def _part(split: str) -> str:
    if split.endswith("mismatched"):
        return "mismatched"
    return "train" if split == "train" else "held_out"


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
