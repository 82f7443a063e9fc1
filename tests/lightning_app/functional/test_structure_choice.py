import pytest
import torch

from lightning_app.functional.structure_choice import (
    Structures,
    cheapest_to_remove,
    least_important_by_layer,
    least_important_globally,
)

IMPORTANCE = [torch.tensor([3.0, 1.0, 2.0, 9.0]), torch.tensor([0.1, 0.4, 0.3, 0.2])]


def test_by_layer() -> None:
    assert least_important_by_layer(IMPORTANCE, 0.5) == [[1, 2], [0, 3]]
    assert least_important_by_layer(IMPORTANCE, 0.0) == [[], []]
    assert least_important_by_layer(IMPORTANCE, [0.75, 0.25]) == [[0, 1, 2], [0]]


def test_globally_leaves_one_in_each_layer() -> None:
    assert least_important_globally(IMPORTANCE, 0.25) == [[], [0, 3]]
    assert least_important_globally(IMPORTANCE, 0.625) == [[1, 2], [0, 2, 3]]


def test_ties_go_by_position() -> None:
    assert least_important_by_layer([torch.ones(4)], 0.5) == [[0, 1]]


def test_what_is_dear_must_be_as_much_more_important() -> None:
    heads = Structures([torch.tensor([10.0, 50.0])], cost=4.0)
    neurons = Structures([torch.tensor([3.0, 1.0, 2.0, 9.0])], cost=1.0)
    # By cost: neurons 1 and 2, then the head (2.5), then neuron 0 (3).
    assert cheapest_to_remove([heads, neurons], 2.0) == [[[]], [[1, 2]]]
    assert cheapest_to_remove([heads, neurons], 6.0) == [[[0]], [[1, 2]]]
    # The head would overshoot 3; the next neuron does not.
    assert cheapest_to_remove([heads, neurons], 3.0) == [[[]], [[0, 1, 2]]]
    # For 4 there are too few neurons: the head goes after all, and they come back.
    assert cheapest_to_remove([heads, neurons], 4.0) == [[[0]], [[]]]


@pytest.mark.parametrize("cost", [1.0, 7.0, 12.5, 40.0, 77.0])
def test_the_target_is_met_to_one_of_the_cheapest(cost: float) -> None:
    torch.manual_seed(0)
    kinds = [
        Structures([torch.rand(4) for _ in range(3)], cost=9.0),
        Structures([torch.rand(8) for _ in range(3)], cost=1.0),
    ]
    removed = cheapest_to_remove(kinds, cost)
    total = sum(k.cost * sum(map(len, layers)) for k, layers in zip(kinds, removed, strict=True))
    assert cost <= total < cost + 1


def test_more_than_can_go_is_refused() -> None:
    with pytest.raises(ValueError, match=r"7 is to be removed and only 6 can be"):
        cheapest_to_remove([Structures(IMPORTANCE, 1.0)], 7.0)
