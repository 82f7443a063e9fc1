"""Many structures within a budget, and of them the one whose answers are really best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lightning_app.functional.structure_search import LayerOptions, cheapest_options
from lightning_app.structure_search.layer_costs import LayerCosts

Chosen = list[int | None]
"""For each layer an option, None to drop it."""

_WIDE = 1.0
_NARROW = 0.4
"""Standard deviations of the logarithm of factors: anywhere, and around the best so far."""


@dataclass(frozen=True)
class Candidate:
    """A structure that was compared.

    Args:
        chosen: For each layer its option.
        loss: Mean divergence of the answers with all of it at once.
    """

    chosen: Chosen
    loss: float


class CandidateSearch:
    """What layers cost alone does not add up: it is right about each, and wrong about all at once.

    So these costs are multiplied by random factors, and of the structures that are the best by
    such costs the one counts whose answers, measured, are best: Frantar & Alistarh 2022, "SPDY:
    Accurate Pruning with Speedup Guarantees" (arXiv:2201.13096, section 3.2). The first half of
    the factors lies anywhere, the second around the best so far.

    Args:
        costs: For each layer what its sizes cost alone.
        prices: For each layer options with prices; their costs do not count.
        budget: For the prices.
        is_within: Whether a choice is within the budget exactly.
        loss: Measures a choice.
        seed: Of the factors.
    """

    def __init__(
        self,
        costs: Sequence[LayerCosts],
        prices: Sequence[LayerOptions],
        budget: float,
        is_within: Callable[[Chosen], bool],
        loss: Callable[[Chosen], float],
        seed: int,
    ) -> None:
        self._costs = costs
        self._prices = prices
        self._budget = budget
        self._is_within = is_within
        self._loss = loss
        self._random = torch.Generator().manual_seed(seed)
        self._known: dict[tuple[int | None, ...], float] = {}

    def best(self, num_candidates: int, done: Callable[[], object]) -> Candidate | None:
        """The best of so many structures, fewer where the same comes again.

        Args:
            num_candidates: At least 1: the first is the best by the costs as they are.
            done: Is called after each.

        Returns:
            None where no structure is within the budget.
        """
        if self._budget <= 0:
            return None
        center = torch.zeros(len(self._costs), 3, dtype=torch.float64)
        best: Candidate | None = None
        for number in range(num_candidates):
            factors = self._factors(center, number, num_candidates)
            chosen = self._solved(factors)
            done()
            if chosen is None:
                continue
            loss = self._loss_of(chosen)
            if best is None or loss < best.loss:
                best, center = Candidate(chosen, loss), factors
        return best

    def _factors(self, center: Tensor, number: int, of: int) -> Tensor:
        """Logarithms of factors, ``[layers, 3]``: of heads, of widths, and of dropping."""
        if number == 0:
            return center
        drawn = torch.randn(center.shape, generator=self._random, dtype=torch.float64)
        return drawn * _WIDE if number < of / 2 else center + drawn * _NARROW

    def _solved(self, factors: Tensor) -> Chosen | None:
        layers = [
            options_with_costs(prices, costs, of_layer.exp().tolist())
            for prices, costs, of_layer in zip(self._prices, self._costs, factors, strict=True)
        ]
        chosen = cheapest_options(layers, self._budget)
        return chosen if chosen is not None and self._is_within(chosen) else None

    def _loss_of(self, chosen: Chosen) -> float:
        key = tuple(chosen)
        if key not in self._known:
            self._known[key] = self._loss(chosen)
        return self._known[key]


def options_with_costs(
    prices: LayerOptions, costs: LayerCosts, factors: Sequence[float] = (1.0, 1.0, 1.0)
) -> LayerOptions:
    """The prices of a layer's options with their costs: of the heads and of the width together.

    Args:
        prices: One for each pair of a number of heads and a width, widths fastest.
        costs: What heads, widths and dropping cost alone.
        factors: On these three.
    """
    of_heads, of_widths, of_drop = factors
    together = (of_heads * costs.heads)[:, None] + (of_widths * costs.widths)[None]
    drop = None if costs.drop is None else of_drop * costs.drop
    return replace(prices, costs=together.flatten(), drop_cost=drop)
