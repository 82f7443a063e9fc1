"""What a layer may become: how many heads and FFN neurons, and which go first."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from lightning_app.functional.latency_model import Sizes
from lightning_app.structure_search.latency_probes import ProbeGrid
from lightning_app.structure_search.structure_choice import LayerChoice
from modules.architecture import LayerShape


@dataclass(frozen=True)
class LayerSizes:
    """The sizes that one layer can be cut to.

    Args:
        shape: As it is.
        heads: Numbers of heads that may stay, ascending, to all of them.
        widths: Numbers of neurons that may stay, ascending, to all of them.
        head_order: Present positions of the heads, the least important first.
        neuron_order: Present positions of the neurons, the least important first.
    """

    shape: LayerShape
    heads: tuple[int, ...]
    widths: tuple[int, ...]
    head_order: tuple[int, ...]
    neuron_order: tuple[int, ...]

    @classmethod
    def of_layer(
        cls, shape: LayerShape, grid: ProbeGrid, heads: Tensor, neurons: Tensor
    ) -> "LayerSizes":
        """The sizes of a grid that are below those of the layer, and its own.

        Args:
            shape: As it is.
            grid: Of the base model.
            heads: Their importance, ``[heads]``.
            neurons: Their importance, ``[intermediate]``.
        """
        return cls(
            shape,
            _up_to(grid.heads, len(shape.heads)),
            _up_to(grid.widths, shape.intermediate_size),
            _ascending(heads),
            _ascending(neurons),
        )

    @property
    def options(self) -> list[Sizes]:
        """Heads and width of each option, in the order of `option_costs`."""
        return [(heads, width) for heads in self.heads for width in self.widths]

    def least_important_heads(self, kept: int) -> list[int]:
        """Positions of those that go, ascending, where so many stay."""
        return sorted(self.head_order[: len(self.head_order) - kept])

    def least_important_neurons(self, kept: int) -> list[int]:
        """Positions of those that go, ascending, where so many stay."""
        return sorted(self.neuron_order[: len(self.neuron_order) - kept])

    def choice(self, layer: int, option: int | None) -> LayerChoice:
        """The option in the words of what changes a network.

        Args:
            layer: Position of this layer.
            option: One of `options` by position; None to drop it.
        """
        if option is None:
            return LayerChoice(layer, (), (), None)
        kept_heads, width = self.options[option]
        gone = self.least_important_heads(kept_heads)
        heads = tuple(h for place, h in enumerate(self.shape.heads) if place not in gone)
        neurons = tuple(self.least_important_neurons(width))
        return LayerChoice(layer, tuple(gone), neurons, LayerShape(heads, width))


def _up_to(grid: Sequence[int], present: int) -> tuple[int, ...]:
    return (*(size for size in grid if size < present), present)


def _ascending(importance: Tensor) -> tuple[int, ...]:
    return tuple(importance.argsort(stable=True).tolist())
