"""From the logits of one row to what a person reads."""

from typing import Any

from torch import Tensor

from lightning_app.answer import answer_from_shares
from lightning_app.task import Task


def answer(logits: Tensor, task: Task) -> dict[str, Any]:
    """Label and scores of a row.

    Args:
        logits: ``[num_labels]``.
        task: Gives the label names.

    Returns:
        ``label`` (a list with several labels a row), ``score`` and ``scores`` by label; for
        regression ``score`` alone.
    """
    if task.problem_type == "regression":
        return {"score": float(logits[0])}
    several = task.problem_type == "multi_label_classification"
    shares = logits.sigmoid() if several else logits.softmax(-1)
    return answer_from_shares(shares.tolist(), task)
