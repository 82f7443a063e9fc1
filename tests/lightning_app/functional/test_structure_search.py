"""The search over layers' options, against all choices there are."""

import itertools
import math
import random

import pytest
import torch

from lightning_app.functional.structure_search import (
    LayerOptions,
    cheapest_options,
    cost_of,
    price_of,
    smallest_options,
)

Chosen = tuple[int | None, ...]


def random_layers(draw: random.Random, whole_numbers: bool) -> list[LayerOptions]:
    def numbers(count: int, most: int) -> torch.Tensor:
        values = [float(draw.randint(1, most)) for _ in range(count)]
        return torch.tensor(values, dtype=torch.float64) + (0 if whole_numbers else draw.random())

    layers = []
    for _ in range(draw.randint(1, 4)):
        count = draw.randint(1, 3)
        drop = draw.choice([None, draw.random() * 20])
        layers.append(LayerOptions(numbers(count, 20), numbers(count, 9), numbers(count, 9), drop))
    return layers


def every_choice(layers: list[LayerOptions]) -> list[Chosen]:
    options = [
        [*range(len(layer.costs)), *([] if layer.drop_cost is None else [None])] for layer in layers
    ]
    return [c for c in itertools.product(*options) if any(o is not None for o in c)]


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_best_of_all_choices_where_prices_come_out_even(seed: int) -> None:
    draw = random.Random(seed)
    layers = random_layers(draw, whole_numbers=True)
    budget = draw.randint(1, 20)
    found = cheapest_options(layers, budget, num_steps=budget)
    within = [c for c in every_choice(layers) if price_of(layers, c) <= budget]
    if not within:
        assert found is None
        return
    assert found is not None
    assert price_of(layers, found) <= budget
    best = min(cost_of(layers, c) for c in within)
    assert cost_of(layers, found) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_rounding_keeps_the_budget_and_loses_less_than_a_step_a_layer(seed: int) -> None:
    draw = random.Random(100 + seed)
    layers = random_layers(draw, whole_numbers=False)
    budget, steps = 2 + draw.random() * 20, 500
    found = cheapest_options(layers, budget, steps)
    bound = budget * (1 - len(layers) / steps)
    surely = [cost_of(layers, c) for c in every_choice(layers) if price_of(layers, c) <= bound]
    if found is not None:
        assert price_of(layers, found) <= budget
        assert cost_of(layers, found) <= min(surely, default=math.inf) + 1e-9
    else:
        assert not surely


def test_the_last_layer_that_stays_pays_its_own_price() -> None:
    costs, prices = torch.tensor([0.0]), torch.tensor([5.0])
    layers = [LayerOptions(costs, prices, torch.tensor([1.0]), 3.0) for _ in range(3)]
    assert cheapest_options(layers, 11.1) == [0, 0, 0]
    for budget, num_kept in ((10.9, 2), (6.1, 2), (5.9, 1), (1, 1)):
        kept = cheapest_options(layers, budget)
        assert kept is not None
        assert sum(option is not None for option in kept) == num_kept
    assert cheapest_options(layers, 0.9) is None


def test_a_layer_that_must_stay_stays() -> None:
    costs, prices = torch.tensor([0.0, 7.0]), torch.tensor([4.0, 1.0])
    must = LayerOptions(costs, prices, prices, None)
    may = LayerOptions(costs, prices, prices, 0.5)
    assert cheapest_options([may, must], 4) == [None, 0]
    assert cheapest_options([must, may], 4) == [0, None]
    assert cheapest_options([must, must], 5) in ([0, 1], [1, 0])
    assert cheapest_options([must, must], 1) is None


@pytest.mark.parametrize("seed", range(40))
def test_the_smallest_is_the_smallest_of_all_choices(seed: int) -> None:
    layers = random_layers(random.Random(seed), whole_numbers=True)
    found = smallest_options(layers)
    key = min((price_of(layers, c), cost_of(layers, c)) for c in every_choice(layers))
    assert (price_of(layers, found), cost_of(layers, found)) == pytest.approx(key)
