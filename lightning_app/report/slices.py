"""Groups of rows that a reader can name: by class, length and what stands in the texts."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_app.commands.task_rows import TaskRows
    from lightning_app.task import Task

Slices = dict[str, list[int]]
"""Numbers of rows by the slice's name."""

MIN_ROWS = 20
"""Of fewer no share of right answers is worth a line."""

_NEGATION = re.compile(r"\b(?:not|no|never|none|nobody|nothing|without|cannot)\b|n't\b", re.I)
_NUMBER = re.compile(r"\d")
_WORD = re.compile(r"\w+")


def by_class(rows: "TaskRows", task: "Task") -> Slices:
    """By label; with several labels a row, those that have each; by thirds for regression."""
    labels = rows.labels or []
    if task.problem_type == "regression":
        return _thirds([float(label) for label in labels], "label")
    found: Slices = {name: [] for name in task.label_names}
    for row, label in enumerate(labels):
        for place, name in enumerate(task.label_names):
            if label == place if isinstance(label, int) else label[place]:
                found[name].append(row)
    return {name: chosen for name, chosen in found.items() if chosen}


def by_length(rows: "TaskRows") -> Slices:
    """By thirds of the number of words, both texts of a pair counted."""
    return _thirds([len(_WORD.findall(text)) for text in _texts(rows)], "words")


def by_content(rows: "TaskRows") -> Slices:
    """By what stands in the texts, and for pairs by how many words they share."""
    texts = _texts(rows)
    patterns: dict[str, Callable[[str], object]] = {
        "a negation": _NEGATION.search,
        "a number": _NUMBER.search,
        "a question mark": lambda text: "?" in text,
    }
    found: Slices = {}
    for name, has in patterns.items():
        found[f"with {name}"] = [row for row, text in enumerate(texts) if has(text)]
        found[f"without {name}"] = [row for row, text in enumerate(texts) if not has(text)]
    if rows.pairs is not None:
        shares = [shared_words(*pair) for pair in zip(rows.texts, rows.pairs, strict=True)]
        found |= _thirds([round(100 * share) for share in shares], "% of words shared")
    return {name: chosen for name, chosen in found.items() if 0 < len(chosen) < len(texts)}


def crossed(first: Slices, second: Slices) -> Slices:
    """Rows that are in one of each."""
    return {
        f"{a}, {b}": both
        for a, of_a in first.items()
        for b, of_b in second.items()
        if (both := sorted(set(of_a) & set(of_b)))
    }


def shared_words(text: str, pair: str) -> float:
    """Words that are in both, by words that are in any of the two, in [0, 1]."""
    a, b = (set(_WORD.findall(side.lower())) for side in (text, pair))
    return len(a & b) / max(1, len(a | b))


def _texts(rows: "TaskRows") -> list[str]:
    if rows.pairs is None:
        return rows.texts
    return [f"{text}\n{pair}" for text, pair in zip(rows.texts, rows.pairs, strict=True)]


def _thirds(values: Sequence[float], unit: str) -> Slices:
    ordered = sorted(values)
    low, high = (ordered[len(ordered) * third // 3] for third in (1, 2))
    if not ordered[0] < low < high:
        return {}
    return {
        f"below {low:g} {unit}": [row for row, value in enumerate(values) if value < low],
        f"{low:g} to {high:g} {unit}": [r for r, value in enumerate(values) if low <= value < high],
        f"from {high:g} {unit}": [row for row, value in enumerate(values) if value >= high],
    }
