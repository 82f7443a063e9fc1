"""Task losses, one value a row."""

import torch.nn.functional as F
from torch import Tensor


def task_losses(logits: Tensor, labels: Tensor, problem_type: str) -> Tensor:
    """Loss of each row; the mean over rows is what `transformers` models return.

    Args:
        logits: ``[batch, num_labels]``; ``[batch, 1]`` for regression.
        labels: ``[batch]`` class numbers or targets; ``[batch, num_labels]`` of 0 and 1 for
            several labels a row.
        problem_type: ``single_label_classification`` (cross-entropy),
            ``multi_label_classification`` (binary cross-entropy, mean over labels) or
            ``regression`` (squared error).

    Returns:
        ``[batch]``.
    """
    if problem_type == "regression":
        return F.mse_loss(logits.squeeze(-1).float(), labels.float(), reduction="none")
    if problem_type == "multi_label_classification":
        losses = F.binary_cross_entropy_with_logits(
            logits.float(), labels.float(), reduction="none"
        )
        return losses.mean(dim=-1)
    return F.cross_entropy(logits.float(), labels, reduction="none")


def weighted_mean(values: Tensor, row_weight: Tensor | None) -> Tensor:
    """Mean over rows, each times its weight; the divisor is the number of rows.

    Args:
        values: ``[batch]``.
        row_weight: ``[batch]``, or None where all rows weigh 1.
    """
    return values.mean() if row_weight is None else (values * row_weight).mean()
