"""Training rows on which callbacks measure importance."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from datamodules.text_datamodule import TextDataModule
from lightning_app.functional.losses import task_losses
from modules.network_inputs import network_inputs
from modules.text_classifier import TextClassifier


def calibration_batches(
    data: TextDataModule, model: TextClassifier, num_rows: int, batch_size: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Batches on the model's device, equal on every process and in every call."""
    for batch in data.calibration_loader(num_rows, batch_size, seed):
        yield {k: v.to(model.device) if isinstance(v, Tensor) else v for k, v in batch.items()}


def sample_losses(model: TextClassifier, batch: dict[str, Any]) -> Tensor:
    """Task loss of each row, ``[batch]``."""
    assert model.task is not None
    logits = model(**network_inputs(batch)).logits
    return task_losses(logits, batch["labels"], model.task.problem_type)


def weight_gradients(
    model: TextClassifier, batch: dict[str, Any], weights: Mapping[str, Parameter]
) -> dict[str, Tensor]:
    """Gradient of the batch's mean loss by each weight; the weights' ``grad`` is left alone."""
    loss = sample_losses(model, batch).mean()
    gradients = torch.autograd.grad(loss, list(weights.values()))
    return dict(zip(weights, gradients, strict=True))
