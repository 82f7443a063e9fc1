"""One option for each layer: the cheapest of those whose prices together are within a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NUM_STEPS = 4000
"""Into which a budget is divided. Prices are rounded up, so that it holds; what a price loses is
less than a step."""


@dataclass(frozen=True)
class LayerOptions:
    """What may become of one layer.

    Args:
        costs: Of each option, ``[options]``: what the loss grows by.
        prices: Of each option, ``[options]``, at least 0, in the budget's unit.
        last_prices: As ``prices``, where it is the last layer that stays.
        drop_cost: Of dropping the layer, which is free; None where it must stay.
    """

    costs: Tensor
    prices: Tensor
    last_prices: Tensor
    drop_cost: float | None


def cheapest_options(
    layers: Sequence[LayerOptions], budget: float, num_steps: int = NUM_STEPS
) -> list[int | None] | None:
    """For each layer an option, None to drop it, of least summed cost within a budget.

    Dynamic programming over what has been spent, as in Frantar & Alistarh 2022, "SPDY: Accurate
    Pruning with Speedup Guarantees" (arXiv:2201.13096, section 3.1). At least one layer stays; each
    is tried as the last one, whose prices may be others.

    Args:
        layers: Bottom first.
        budget: Above 0, in the unit of the prices.
        num_steps: The finer, the closer the result comes to the budget.

    Returns:
        None where no choice is within the budget.
    """
    step = budget / num_steps
    below = [_Spent.nothing(num_steps)]
    for layer in layers[:-1]:
        below.append(below[-1].with_layer(layer, step))
    best, found = torch.inf, None
    for number, layer in enumerate(layers):
        above = [later.drop_cost for later in layers[number + 1 :]]
        if any(cost is None for cost in above):
            continue
        cost, chosen = _with_last(below[number], layer, step)
        total = cost + sum(c for c in above if c is not None)
        if total < best:
            best = total
            found = [*_traced(below[: number + 1], chosen), *(None for _ in above)]
    return found


def smallest_options(layers: Sequence[LayerOptions]) -> list[int | None]:
    """The choice of lowest price that there is; of several the one of least summed cost.

    Args:
        layers: Bottom first.
    """
    found = [
        _smallest_with_last(layers, last)
        for last in range(len(layers))
        if all(later.drop_cost is not None for later in layers[last + 1 :])
    ]
    return min(found, key=lambda chosen: (price_of(layers, chosen), cost_of(layers, chosen)))


def price_of(layers: Sequence[LayerOptions], chosen: Sequence[int | None]) -> float:
    """What a choice takes, exactly.

    Args:
        layers: Bottom first.
        chosen: For each an option, None to drop it; at least one stays.
    """
    kept = [(layer, option) for layer, option in _pairs(layers, chosen) if option is not None]
    inner = sum(float(layer.prices[option]) for layer, option in kept[:-1])
    last, option = kept[-1]
    return inner + float(last.last_prices[option])


def cost_of(layers: Sequence[LayerOptions], chosen: Sequence[int | None]) -> float:
    """The summed cost of a choice.

    Args:
        layers: Bottom first.
        chosen: For each an option, None to drop it.
    """
    return sum(
        float(layer.drop_cost or 0) if option is None else float(layer.costs[option])
        for layer, option in _pairs(layers, chosen)
    )


def _smallest_with_last(layers: Sequence[LayerOptions], last: int) -> list[int | None]:
    below = [
        _cheapest(layer.prices, layer.costs) if layer.drop_cost is None else None
        for layer in layers[:last]
    ]
    top = _cheapest(layers[last].last_prices, layers[last].costs)
    return [*below, top, *(None for _ in layers[last + 1 :])]


def _cheapest(prices: Tensor, costs: Tensor) -> int:
    return min(range(len(prices)), key=lambda n: (float(prices[n]), float(costs[n])))


def _pairs(
    layers: Sequence[LayerOptions], chosen: Sequence[int | None]
) -> list[tuple[LayerOptions, int | None]]:
    return list(zip(layers, chosen, strict=True))


@dataclass(frozen=True)
class _Spent:
    """The least cost of the layers so far, by what they take.

    Args:
        costs: ``[steps + 1]``, of taking exactly so many steps; infinite where none does.
        options: ``[steps + 1]``, of the layer before; -1 for dropping it.
        prices: ``[options]`` of that layer, in steps.
    """

    costs: Tensor
    options: Tensor
    prices: Tensor

    @classmethod
    def nothing(cls, num_steps: int) -> "_Spent":
        costs = torch.full((num_steps + 1,), torch.inf, dtype=torch.float64)
        costs[0] = 0
        return cls(costs, torch.zeros(0), torch.zeros(0))

    def with_layer(self, layer: LayerOptions, step: float) -> "_Spent":
        prices = _in_steps(layer.prices, step)
        dropped = torch.inf if layer.drop_cost is None else layer.drop_cost
        costs, options = self.costs + dropped, torch.full_like(self.costs, -1, dtype=torch.long)
        for number, (price, cost) in enumerate(
            zip(prices.tolist(), layer.costs.tolist(), strict=True)
        ):
            if price < len(costs):
                shifted = torch.full_like(costs, torch.inf)
                shifted[price:] = self.costs[: len(costs) - price] + cost
                better = shifted < costs
                costs, options = (
                    torch.where(better, shifted, costs),
                    options.masked_fill(better, number),
                )
        return _Spent(costs, options, prices)


def _with_last(spent: _Spent, layer: LayerOptions, step: float) -> tuple[float, tuple[int, int]]:
    """The least cost with this one as the last layer; what is spent below it, and its option."""
    best, chosen = torch.inf, (0, 0)
    for number, price in enumerate(_in_steps(layer.last_prices, step).tolist()):
        if price < len(spent.costs):
            costs = spent.costs[: len(spent.costs) - price]
            cost = float(costs.min()) + float(layer.costs[number])
            if cost < best:
                best, chosen = cost, (int(costs.argmin()), number)
    return best, chosen


def _traced(below: Sequence[_Spent], chosen: tuple[int, int]) -> list[int | None]:
    spent, last = chosen
    options: list[int | None] = [last]
    for state in reversed(below[1:]):
        option = int(state.options[spent])
        options.append(None if option < 0 else option)
        spent -= 0 if option < 0 else int(state.prices[option])
    return options[::-1]


def _in_steps(prices: Tensor, step: float) -> Tensor:
    # A hair less, so that a price of exactly so many steps is not one more by rounding.
    return (prices.double() / step - 1e-9).ceil().long()
