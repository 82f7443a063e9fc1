import pytest
import torch

from callbacks.mask_pattern import MaskPattern
from lightning_app.errors import InputError

SCORES = torch.tensor([[5.0, 1.0, 2.0, 8.0], [4.0, 3.0, 7.0, 6.0]])


def test_per_layer_and_global_by_hand() -> None:
    scores = {"a": SCORES, "b": SCORES * 10}
    layer = MaskPattern.parse("unstructured").masks(scores, 0.5, "layer")
    assert layer["a"].tolist() == [[True, False, False, True], [False, False, True, True]]
    assert torch.equal(layer["a"], layer["b"])
    together = MaskPattern.parse("unstructured").masks(scores, 0.5, "global")
    assert not together["a"].any()
    assert together["b"].all()


def test_shares_by_name() -> None:
    scores = {"a": SCORES, "b": SCORES}
    masks = MaskPattern.parse("unstructured").masks(scores, {"a": 0.25, "b": 0.75}, "layer")
    assert [int(mask.sum()) for mask in masks.values()] == [6, 2]


def test_blocks_by_hand() -> None:
    mask = MaskPattern.parse("2x2").masks({"a": SCORES}, 0.5, "layer")["a"]
    assert mask.tolist() == [[False, False, True, True]] * 2  # sums 13 and 23


def test_two_of_four_keeps_two_of_each_four_on_the_way_and_at_the_end() -> None:
    pattern = MaskPattern.parse("2:4")
    half_way = pattern.masks({"a": SCORES}, 0.25, "layer")["a"]
    assert half_way.tolist() == [[True, False, False, True], [True, True, True, True]]
    pruned = SCORES.masked_fill(~half_way, -torch.inf)
    end = pattern.masks({"a": pruned}, 0.5, "layer")["a"]
    assert end.tolist() == [[True, False, False, True], [False, False, True, True]]


def test_a_weight_that_the_pattern_does_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match=r"divide the 6 inputs of x, got 2:4; of 2, 4, 8.*\[2\]"):
        MaskPattern.parse("2:4").check_shape("x", torch.zeros(4, 6))
    with pytest.raises(InputError, match=r"divide the 4 x 6 of x, got 3x2; choose another"):
        MaskPattern.parse("3x2").check_shape("x", torch.zeros(4, 6))
    MaskPattern.parse("4x3").check_shape("x", torch.zeros(4, 6))
