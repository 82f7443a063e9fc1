"""All structures that a network can be cut to, and what each takes of a budget."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from lightning_app.functional.latency_model import Sizes
from lightning_app.functional.structure_search import LayerOptions, smallest_options
from lightning_app.structure_search.candidate_search import Chosen, options_with_costs
from lightning_app.structure_search.layer_costs import LayerCosts
from lightning_app.structure_search.layer_sizes import LayerSizes
from lightning_app.structure_search.structure_choice import LayerChoice
from lightning_app.structure_search.structure_prices import StructurePrices
from modules.gates import gates_closed
from modules.layer_subset import only_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class StructureSpace:
    """For each layer an option, or to drop it.

    Args:
        sizes: For each layer what it may become.
        prices: What that takes.
        drop_layers: Whether layers may go; one always stays.
    """

    sizes: Sequence[LayerSizes]
    prices: StructurePrices
    drop_layers: bool

    @cached_property
    def options(self) -> list[LayerOptions]:
        """For each layer prices without costs."""
        return [self._options_of(layer) for layer in range(len(self.sizes))]

    def smallest(self, costs: Sequence[LayerCosts]) -> Chosen:
        """The structure of lowest price, of several that of least costs."""
        pairs = zip(self.options, costs, strict=True)
        return smallest_options([options_with_costs(*pair) for pair in pairs])

    def kept(self, chosen: Chosen) -> list[tuple[int, Sizes]]:
        """Positions of the layers that stay, with what becomes of each."""
        return [
            (layer, self.sizes[layer].options[option])
            for layer, option in enumerate(chosen)
            if option is not None
        ]

    def price(self, chosen: Chosen) -> float:
        """Of the whole network."""
        return self.prices.total(self.kept(chosen))

    def layers(self, chosen: Chosen) -> tuple[LayerChoice, ...]:
        """In the words of what changes a network."""
        pairs = zip(self.sizes, chosen, strict=True)
        return tuple(sizes.choice(n, option) for n, (sizes, option) in enumerate(pairs))

    @contextmanager
    def applied(self, network: "PreTrainedModel", chosen: Chosen) -> Iterator[None]:
        """Within, the network computes what it would in this structure."""
        layers = self.layers(chosen)
        stay = [layer.layer for layer in layers if layer.is_kept]
        closed = ([c.heads for c in layers], [c.neurons for c in layers])
        with gates_closed(network, *closed), only_layers(network, stay):
            yield

    def _options_of(self, layer: int) -> LayerOptions:
        prices, sizes = self.prices, self.sizes[layer].options
        options = LayerOptions(
            costs=torch.zeros(len(sizes), dtype=torch.float64),
            prices=_column([prices.layer(layer, of) for of in sizes]),
            last_prices=_column([prices.last(layer, of) for of in sizes]),
            drop_cost=0.0,
        )
        return options if self.drop_layers else replace(options, drop_cost=None)


def _column(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
