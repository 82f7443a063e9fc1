"""The structure that was chosen, in the words of what changes a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modules.architecture import LayerShape


@dataclass(frozen=True)
class LayerChoice:
    """What becomes of one layer of the network.

    Args:
        layer: Its present position.
        heads: Positions of the heads to remove, ascending; of a dropped layer none.
        neurons: Positions of the FFN neurons to remove, ascending; of a dropped layer none.
        shape: What is left of it; None where the whole layer is dropped.
    """

    layer: int
    heads: tuple[int, ...]
    neurons: tuple[int, ...]
    shape: LayerShape | None

    @property
    def is_kept(self) -> bool:
        """Whether anything is left of it."""
        return self.shape is not None


@dataclass(frozen=True)
class StructureChoice:
    """A structure for the whole network.

    To bring a model into it::

        model.keep_layers(choice.layers_kept)  # where not all are
        model.prune_structure(choice.heads, choice.neurons)

    Args:
        layers: For each present layer what becomes of it.
        predicted_ms: One forward call of it, by the latency table; None without one.
        parameters: Of the whole network then.
        loss: Mean divergence of its answers on the calibration rows from those of the model as
            it was, before any training.
        meets_budget: Whether it is within the budget; else it is the smallest structure there is.
    """

    layers: tuple[LayerChoice, ...]
    predicted_ms: float | None
    parameters: int
    loss: float
    meets_budget: bool = True

    @property
    def kept(self) -> tuple[LayerChoice, ...]:
        """The layers that stay."""
        return tuple(layer for layer in self.layers if layer.is_kept)

    @property
    def layers_kept(self) -> list[int]:
        """Present positions of the layers that stay, ascending, for ``model.keep_layers``."""
        return [layer.layer for layer in self.kept]

    @property
    def heads(self) -> list[list[int]]:
        """For each layer that stays the heads to remove, for ``model.prune_structure``."""
        return [list(layer.heads) for layer in self.kept]

    @property
    def neurons(self) -> list[list[int]]:
        """For each layer that stays the neurons to remove, for ``model.prune_structure``."""
        return [list(layer.neurons) for layer in self.kept]

    @property
    def shapes(self) -> tuple[LayerShape, ...]:
        """Of the layers that stay."""
        return tuple(layer.shape for layer in self.kept if layer.shape is not None)

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        layers = [
            {
                "layer": c.layer,
                "heads": list(c.heads),
                "neurons": list(c.neurons),
                **_plain(c.shape),
            }
            for c in self.layers
        ]
        return {
            "layers": layers,
            "predicted_ms": self.predicted_ms,
            "parameters": self.parameters,
            "loss": self.loss,
            "meets_budget": self.meets_budget,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "StructureChoice":
        """From :meth:`as_plain`."""
        layers = tuple(
            LayerChoice(c["layer"], tuple(c["heads"]), tuple(c["neurons"]), _shape(c))
            for c in plain["layers"]
        )
        return cls(**{**plain, "layers": layers})


def _plain(shape: LayerShape | None) -> dict[str, Any]:
    if shape is None:
        return {"kept_heads": None, "intermediate_size": None}
    return {"kept_heads": list(shape.heads), "intermediate_size": shape.intermediate_size}


def _shape(plain: dict[str, Any]) -> LayerShape | None:
    if plain["kept_heads"] is None:
        return None
    return LayerShape(tuple(plain["kept_heads"]), plain["intermediate_size"])


def layer_choices(shapes: Sequence[LayerShape]) -> tuple[LayerChoice, ...]:
    """The choice of leaving everything as it is."""
    return tuple(LayerChoice(n, (), (), shape) for n, shape in enumerate(shapes))
