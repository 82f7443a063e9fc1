"""How often, and how closely, the student answers as its teacher does."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from callbacks.teacher_outputs import TeacherOutputs
from datamodules.text_datamodule import TextDataModule
from lightning_app.functional.distillation import agreement, mean_kl
from modules.network_inputs import real_rows


class TeacherAgreement:
    """Compares validation answers; the teacher runs over each batch once a run.

    Args:
        outputs: Of the teacher.
        problem_type: Of the task; regression has a mean squared difference.
    """

    def __init__(self, outputs: TeacherOutputs, problem_type: str) -> None:
        self._outputs = outputs
        self._problem_type = problem_type
        self._known: dict[tuple[str, int], Tensor] = {}
        self._metrics = {name: MeanMetric() for name in _measures(problem_type)}

    def reset(self, device: torch.device) -> None:
        """Forget the last validation."""
        for metric in self._metrics.values():
            metric.to(device).reset()

    def update(
        self, logits: Tensor, batch: Mapping[str, Any], data: TextDataModule, split: str
    ) -> None:
        """Add a batch.

        Args:
            logits: The student's ``[batch, num_labels]``.
            batch: What it answered.
            data: Where the batch came from.
            split: Which of its splits.
        """
        teacher = self._teacher_logits(batch, data, split).to(logits.device)
        logits, teacher = real_rows(batch, logits, teacher)
        if not len(logits):
            return
        for name, measure in _measures(self._problem_type).items():
            self._metrics[name].update(measure(logits.float(), teacher), len(logits))

    def compute(self) -> dict[str, Tensor]:
        """Means over all processes, by the name under which they are logged."""
        return {f"val/{name}": metric.compute() for name, metric in self._metrics.items()}

    def _teacher_logits(self, batch: Mapping[str, Any], data: TextDataModule, split: str) -> Tensor:
        keys = [(split, row) for row in batch["index"].tolist()]
        if any(key not in self._known for key in keys):
            logits = self._outputs.logits(batch, data, split).float().cpu()
            self._known.update(zip(keys, logits, strict=True))
        return torch.stack([self._known[key] for key in keys])


def _measures(problem_type: str) -> dict[str, Any]:
    if problem_type == "regression":
        return {"teacher_difference": lambda s, t: (s - t).square().mean()}
    if problem_type == "multi_label_classification":
        return {"teacher_agreement": partial(agreement, multi_label=True)}
    return {"teacher_agreement": agreement, "teacher_divergence": mean_kl}
