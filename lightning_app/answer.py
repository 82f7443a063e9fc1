"""From the shares of one row to what a person reads."""

from collections.abc import Sequence
from typing import Any

from lightning_app.task import Task


def answer_from_shares(shares: Sequence[float], task: Task) -> dict[str, Any]:
    """Label and scores of a row of a classification task.

    Args:
        shares: One a label, in [0, 1].
        task: Gives the label names.

    Returns:
        ``label`` (a list with several labels a row), ``score`` and ``scores`` by label.
    """
    scores = dict(zip(task.label_names, shares, strict=True))
    best = max(scores, key=scores.__getitem__)
    several = task.problem_type == "multi_label_classification"
    label: Any = [name for name in scores if scores[name] > 0.5] if several else best
    return {"label": label, "score": scores[best], "scores": scores}
