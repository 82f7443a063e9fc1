"""How important heads and neurons are: on training rows, on gradients of training, by weight."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from callbacks.calibration import calibration_batches
from callbacks.structure_gates import head_columns
from datamodules.text_datamodule import TextDataModule
from lightning_app.functional.importance import gate_taylor_importance, random_importance
from lightning_app.functional.losses import task_losses
from modules.families import layer_parts
from modules.gates import gate_gradients
from modules.network_inputs import network_inputs
from modules.text_classifier import TextClassifier

CALIBRATION_BATCH_SIZE = 32

Importance = tuple[list[Tensor], list[Tensor]]
"""For each layer that of the heads ``[heads]``, and of the neurons ``[intermediate]``."""


def measured_importance(
    data: TextDataModule, model: TextClassifier, num_samples: int, seed: int
) -> Importance:
    """Mean over training rows of the absolute gradient of each row's loss by each gate."""
    assert model.network is not None
    assert model.task is not None
    problem_type = model.task.problem_type
    by_batch = []
    for batch in calibration_batches(data, model, num_samples, CALIBRATION_BATCH_SIZE, seed):
        labels = batch["labels"]
        by_batch.append(
            gate_gradients(
                model.network,
                network_inputs(batch),
                lambda logits, labels=labels: task_losses(logits, labels, problem_type),  # type: ignore[misc]
            )
        )
    layers = list(zip(*by_batch, strict=True))
    heads = [gate_taylor_importance(torch.cat([g.heads for g in layer])) for layer in layers]
    neurons = [gate_taylor_importance(torch.cat([g.neurons for g in layer])) for layer in layers]
    return heads, neurons


def weight_importance(model: TextClassifier, seed: int | None) -> Importance:
    """By the norm of the weights that carry each head's and neuron's output, or random.

    Args:
        model: With its network built.
        seed: For random importance; None for the norm.
    """
    assert model.network is not None
    layers = layer_parts(model.network)
    with torch.no_grad():
        heads = [head_columns(p, p.attention_output.weight).norm(dim=(0, 2)) for p in layers]
        neurons = [p.output.weight.norm(dim=0) for p in layers]
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        return (
            [random_importance(layer, generator) for layer in heads],
            [random_importance(layer, generator) for layer in neurons],
        )
    # A head carries more weights than a neuron: by the mean of squares both count alike.
    return [layer / p.head_size**0.5 for layer, p in zip(heads, layers, strict=True)], neurons


class TrainingImportance:
    """Sums up importance over training steps, from gradients that are there anyway.

    The gradient of the loss by a gate of one is the product of weight and weight gradient, summed
    over the column that the gate multiplies. It is the batch's: the absolute value is taken over
    batches, not rows.
    """

    def __init__(self) -> None:
        self._heads: list[Tensor] = []
        self._neurons: list[Tensor] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been added."""
        return not self._heads

    @torch.no_grad()
    def add(self, model: TextClassifier) -> None:
        """Add the present gradients."""
        assert model.network is not None
        heads, neurons = [], []
        for parts in layer_parts(model.network):
            attention, ffn = parts.attention_output.weight, parts.output.weight
            assert attention.grad is not None
            assert ffn.grad is not None
            heads.append(head_columns(parts, attention * attention.grad).sum(dim=(0, 2)).abs())
            neurons.append((ffn * ffn.grad).sum(dim=0).abs())
        self._heads = _sum(self._heads, heads)
        self._neurons = _sum(self._neurons, neurons)

    def importance(self) -> Importance:
        """The sum so far."""
        return self._heads, self._neurons

    def as_plain(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"heads": self._heads, "neurons": self._neurons}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "TrainingImportance":
        """From :meth:`as_plain`."""
        sums = cls()
        sums._heads, sums._neurons = list(plain["heads"]), list(plain["neurons"])
        return sums


def _sum(total: list[Tensor], more: list[Tensor]) -> list[Tensor]:
    return [a.to(b.device) + b for a, b in zip(total, more, strict=True)] if total else more
