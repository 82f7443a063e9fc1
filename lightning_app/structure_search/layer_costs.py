"""What it costs to make one layer smaller, or to leave it out, while all others stay."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_app.functional.interpolation import interpolated_mean
from lightning_app.structure_search.answer_distance import AnswerDistance
from lightning_app.structure_search.layer_sizes import LayerSizes
from modules.gates import gates_closed
from modules.layer_subset import only_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LayerCosts:
    """Mean divergence of the answers where one layer alone is changed.

    Args:
        heads: ``[options]``, of keeping so many heads; those of all heads cost 0.
        widths: ``[options]``, of keeping so many neurons; those of all neurons cost 0.
        drop: Of leaving the layer out; None where it must stay.
    """

    heads: Tensor
    widths: Tensor
    drop: float | None


class LayerCostMeter:
    """Measures layers from the bottom up.

    Every second size is measured, and what lies between is taken from the straight line. Heads
    and neurons are measured apart: together they cost about the sum.

    Args:
        network: In evaluation mode; left as it was.
        distance: Of its answers.
        sizes: For each layer what it may become.
        drop_layers: Whether layers may go.
    """

    def __init__(
        self,
        network: "PreTrainedModel",
        distance: AnswerDistance,
        sizes: Sequence[LayerSizes],
        drop_layers: bool,
    ) -> None:
        self._network = network
        self._distance = distance
        self._sizes = sizes
        self._drops = drop_layers and len(sizes) > 1

    @property
    def num_measurements(self) -> int:
        """Passes over the rows, each of the layers from the measured one on."""
        of_sizes = sum(
            len(_measured(of.heads)) + len(_measured(of.widths)) - 2 for of in self._sizes
        )
        return of_sizes + (len(self._sizes) if self._drops else 0)

    def measure(self, done: Callable[[], object]) -> list[LayerCosts]:
        """Measure all layers.

        Args:
            done: Is called after each measurement.
        """
        return [self._of_layer(layer, done) for layer in range(len(self._sizes))]

    def _of_layer(self, layer: int, done: Callable[[], object]) -> LayerCosts:
        self._distance.start_at(layer)

        def distance_with(change: AbstractContextManager[None]) -> float:
            with change:
                found = self._distance.of_present_model()
            done()
            return found

        def without_heads(count: int) -> AbstractContextManager[None]:
            return self._closed(layer, sizes.least_important_heads(count), ())

        def without_neurons(count: int) -> AbstractContextManager[None]:
            return self._closed(layer, (), sizes.least_important_neurons(count))

        sizes = self._sizes[layer]
        others = [other for other in range(len(self._sizes)) if other != layer]
        return LayerCosts(
            _costs(sizes.heads, lambda count: distance_with(without_heads(count))),
            _costs(sizes.widths, lambda count: distance_with(without_neurons(count))),
            distance_with(only_layers(self._network, others)) if self._drops else None,
        )

    def _closed(
        self, layer: int, heads: Sequence[int], neurons: Sequence[int]
    ) -> AbstractContextManager[None]:
        closed: list[list[list[int]]] = [[[] for _ in self._sizes] for _ in range(2)]
        closed[0][layer], closed[1][layer] = list(heads), list(neurons)
        return gates_closed(self._network, *closed)


def _measured(counts: Sequence[int]) -> list[int]:
    """The smallest, every second from there, and all; ascending like ``counts``."""
    return sorted({*counts[::2], counts[-1]})


def _costs(counts: Sequence[int], cost: Callable[[int], float]) -> Tensor:
    at = _measured(counts)
    measured = [*(cost(count) for count in at[:-1]), 0.0]
    values = [interpolated_mean(measured, at, [count]) for count in counts]
    return torch.tensor(values, dtype=torch.float64)
