"""What can be pruned alone: the heads or the neurons of a layer, or the weights of a linear one."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from callbacks.prunable_weights import prunable_weights
from callbacks.structure_importance import Importance
from lightning_app.functional.importance import magnitude_importance
from lightning_app.functional.masks import num_pruned, threshold_mask
from lightning_app.functional.structure_choice import least_important_by_layer
from modules.families import FAMILIES, layer_parts
from modules.gates import gates_closed
from modules.text_classifier import TextClassifier

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Kind = Literal["heads", "neurons", "unstructured"]
KINDS: tuple[Kind, ...] = ("heads", "neurons", "unstructured")


@dataclass(frozen=True, eq=False)
class Part(ABC):
    """Something that can be pruned alone, for a while.

    Args:
        kind: What is pruned.
        name: The layer's position, or the name of the linear layer in the module.
        layer: Position of the encoder layer that it is in; None outside.
    """

    kind: Kind
    name: str
    layer: int | None

    @property
    @abstractmethod
    def count(self) -> int:
        """Heads, neurons or weights there are."""

    @abstractmethod
    def num_removed(self, share: float) -> int:
        """How many go at a share in [0, 1), as the pruning callbacks round it."""

    @abstractmethod
    def pruned(self, share: float) -> AbstractContextManager[None]:
        """Within, the least important share of it gives zero; after, all is as it was."""


@dataclass(frozen=True, eq=False)
class StructurePart(Part):
    """Heads or neurons of a layer.

    Args:
        network: That they are in.
        importance: Of each, ``[structures]``.
    """

    network: "PreTrainedModel"
    importance: Tensor

    @property
    def count(self) -> int:
        """Heads or neurons of the layer."""
        return len(self.importance)

    def num_removed(self, share: float) -> int:
        """As `callbacks.StructuredPruning` counts."""
        return round(share * self.count)

    def pruned(self, share: float) -> AbstractContextManager[None]:
        """With the gates of the least important ones closed."""
        assert self.layer is not None
        num_layers = len(layer_parts(self.network))
        closed: list[list[int]] = [[] for _ in range(num_layers)]
        closed[self.layer] = least_important_by_layer([self.importance], share)[0]
        none: list[list[int]] = [[] for _ in range(num_layers)]
        heads, neurons = (closed, none) if self.kind == "heads" else (none, closed)
        return gates_closed(self.network, heads, neurons)


@dataclass(frozen=True, eq=False)
class WeightPart(Part):
    """The weights of a linear layer.

    Args:
        weight: ``[outputs, inputs]``.
    """

    weight: Parameter

    @property
    def count(self) -> int:
        """Weights of the matrix."""
        return self.weight.numel()

    def num_removed(self, share: float) -> int:
        """As `callbacks.MagnitudePruning` counts."""
        return num_pruned(self.count, share)

    def pruned(self, share: float) -> AbstractContextManager[None]:
        """With zeros in place of the smallest weights."""
        return _masked(self.weight, threshold_mask(magnitude_importance(self.weight), share))


def structure_parts(model: TextClassifier, kind: Kind, importance: Importance) -> list[Part]:
    """Heads or neurons of each layer.

    Args:
        model: With its network built.
        kind: ``heads`` or ``neurons``.
        importance: Of the heads and the neurons.
    """
    assert model.network is not None
    of_kind = importance[0] if kind == "heads" else importance[1]
    return [
        StructurePart(kind, str(layer), layer, model.network, values)
        for layer, values in enumerate(of_kind)
    ]


def weight_parts(
    model: TextClassifier, include: list[str] | None, exclude: list[str] | None
) -> list[Part]:
    """The weights that `callbacks.MagnitudePruning` would prune."""
    weights = prunable_weights(model, include, exclude)
    layers = _layer_of_weights(model)
    return [
        WeightPart("unstructured", name.removesuffix(".weight"), layers.get(id(weight)), weight)
        for name, weight in weights.items()
    ]


def _layer_of_weights(model: TextClassifier) -> dict[int, int]:
    assert model.network is not None
    if model.network.config.model_type not in FAMILIES:
        return {}
    return {
        id(weight): position
        for position, parts in enumerate(layer_parts(model.network))
        for weight in parts.layer.parameters()
    }


@contextmanager
def _masked(weight: Parameter, mask: Tensor) -> Iterator[None]:
    whole = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.mul_(mask)
        yield
    finally:
        with torch.no_grad():
            weight.copy_(whole)
