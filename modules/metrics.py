"""The metrics of a task over a whole data set, the same for any number of processes."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional import (
    accuracy,
    confusion_matrix,
    f1_score,
    pearson_corrcoef,
    spearman_corrcoef,
)
from torchmetrics.utilities import dim_zero_cat

from lightning_app.functional.losses import task_losses
from lightning_app.task import Task


class TaskMetrics(Metric):
    """Keeps every row's logits and computes the metrics at the end, over rows in their order.

    Correlations and the mean loss depend on the order of summation; sorted by row, one process
    and many give the same bits. GLUE's evaluation sets have at most 40,430 rows.

    Args:
        task: Says which metrics.
    """

    full_state_update = False
    index: list[Tensor]
    logits: list[Tensor]
    labels: list[Tensor]

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        for name in ("index", "logits", "labels"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.computed_rows: tuple[Tensor, Tensor, Tensor] = (torch.empty(0),) * 3

    def update(self, index: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            index: Number of each row in its split, ``[batch]``.
            logits: ``[batch, num_labels]``.
            labels: ``[batch]``, or ``[batch, num_labels]`` with several labels a row.
        """
        self.index.append(index)
        self.logits.append(logits.detach().float())
        self.labels.append(labels)

    def compute(self) -> dict[str, Tensor]:
        """Each metric by name, and ``loss`` and ``score``.

        ``computed_rows`` then holds index, logits and labels of all processes' rows, in order.
        """
        index, logits, labels = (dim_zero_cat(s) for s in (self.index, self.logits, self.labels))
        order = index.argsort()
        logits, labels = logits[order], labels[order]
        self.computed_rows = (index[order], logits, labels)
        values = {name: METRICS[name](logits, labels, self.task) for name in self._names()}
        score = torch.stack([values[name].double() for name in self.task.score_metrics]).mean()
        losses = task_losses(logits.double(), labels, self.task.problem_type)
        return {**values, "loss": losses.mean().float(), "score": score.float()}

    def _names(self) -> list[str]:
        return list(dict.fromkeys((*self.task.metrics, *self.task.score_metrics)))


def predicted(logits: Tensor, task: Task) -> Tensor:
    """Class numbers ``[batch]``, 0/1 ``[batch, num_labels]``, or values ``[batch]``."""
    if task.problem_type == "regression":
        return logits.squeeze(-1)
    if task.problem_type == "multi_label_classification":
        return (logits > 0).long()
    return logits.argmax(dim=-1)


def _classes(task: Task) -> dict[str, Any]:
    if task.problem_type == "multi_label_classification":
        return {"task": "multilabel", "num_labels": task.num_labels}
    if task.num_labels == 2:
        return {"task": "binary"}
    return {"task": "multiclass", "num_classes": task.num_labels}


def _accuracy(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    hits = predicted(logits, task) == labels.long()
    if task.problem_type == "multi_label_classification":
        return accuracy(predicted(logits, task), labels.long(), **_classes(task), average="micro")
    return hits.double().mean().float()


def _f1(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    several = task.problem_type == "multi_label_classification"
    average: Literal["micro", "macro"] = "micro" if several else "macro"
    return f1_score(predicted(logits, task), labels.long(), **_classes(task), average=average)


def _matthews(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Gorodkin 2004, "Comparing two K-category assignments", equation 8.

    0 where all rows have, or get, one class, as in GLUE's scorer; torchmetrics differs there.
    """
    counts = confusion_matrix(predicted(logits, task), labels, **_classes(task)).double()
    num_rows, true, guessed = counts.sum(), counts.sum(dim=1), counts.sum(dim=0)
    covariance = counts.trace() * num_rows - true @ guessed
    variances = (num_rows**2 - true @ true) * (num_rows**2 - guessed @ guessed)
    return (covariance / variances.clamp(min=1).sqrt()).float()


def _pearson(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    return _correlation(pearson_corrcoef, predicted(logits, task), labels)


def _spearman(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    return _correlation(spearman_corrcoef, predicted(logits, task), labels)


def _correlation(
    coefficient: Callable[[Tensor, Tensor], Tensor], values: Tensor, labels: Tensor
) -> Tensor:
    if values.min() == values.max() or labels.min() == labels.max():
        return values.new_zeros(())  # undefined; NaN would hide which checkpoint is best
    return coefficient(values.double(), labels.double()).float()


METRICS: dict[str, Callable[[Tensor, Tensor, Task], Tensor]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
}
