"""Scores of answers, with intervals."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lightning_app.commands.benchmark_result import Estimate, Scores
from lightning_app.functional.calibration import expected_calibration_error
from lightning_app.functional.resampling import interval, resampled
from modules.metrics import METRICS, predicted

if TYPE_CHECKING:
    from lightning_app.task import Task


def scores_of(
    logits: Tensor, first: Tensor, labels: list[Any] | None, task: "Task", seed: int = 0
) -> Scores:
    """Score answers.

    Args:
        logits: ``[rows, num_labels]``.
        first: Those of the first artifact.
        labels: Of the rows; None without.
        task: Says which metrics.
        seed: Of the bootstrap over rows.
    """
    flipped = None
    if task.problem_type != "regression":
        differ = predicted(logits, task) != predicted(first, task)
        flipped = float(differ.reshape(len(logits), -1).any(dim=1).double().mean())
    largest = float((logits - first).abs().max())
    if labels is None:
        return Scores({}, flipped, largest, None)
    truth = torch.tensor(labels)
    metrics = _metrics(logits, truth, task, seed)
    return Scores(metrics, flipped, largest, _calibration_error(logits, truth, task))


def _metrics(logits: Tensor, labels: Tensor, task: "Task", seed: int) -> dict[str, Estimate]:
    names = list(dict.fromkeys((*task.metrics, *task.score_metrics)))
    in_score = torch.tensor([name in task.score_metrics for name in names])

    def all_metrics(rows: Tensor) -> Tensor:
        chosen, truth = logits[rows], labels[rows]
        values = torch.stack([METRICS[name](chosen, truth, task).double() for name in names])
        return torch.cat([values, values[in_score].mean().view(1)])

    values = all_metrics(torch.arange(len(logits)))
    drawn = resampled(all_metrics, len(logits), seed=seed)
    return {
        name: Estimate(float(values[place]), *interval(drawn[:, place]))
        for place, name in enumerate([*names, "score"])
    }


def _calibration_error(logits: Tensor, labels: Tensor, task: "Task") -> float | None:
    if task.problem_type == "regression":
        return None
    if task.problem_type == "multi_label_classification":
        shares = logits.double().sigmoid()
        confidences, hits = torch.maximum(shares, 1 - shares), predicted(logits, task) == labels
        return expected_calibration_error(confidences.flatten(), hits.flatten())
    confidences = logits.double().softmax(-1).max(-1).values
    return expected_calibration_error(confidences, predicted(logits, task) == labels)
