import math

import pytest
import torch
from torch import Tensor

from lightning_app.functional.masks import threshold_mask
from lightning_app.functional.movement import (
    move_scores_,
    score_gradient,
    score_regularization,
    score_regularization_gradient,
    soft_movement_mask,
)


def test_score_gradient_by_hand() -> None:
    weight = torch.tensor([[2.0, -1, 0], [1, -3, 4]])
    gradient = torch.tensor([[0.5, 2, 7], [-1, -1, 0]])
    assert score_gradient(weight, gradient).tolist() == [[1, -2, 0], [-1, 3, 0]]


def test_score_gradient_is_the_finite_difference_of_the_loss_by_the_mask() -> None:
    inputs, targets = torch.randn(6, 4).double(), torch.randn(6, 3).double()
    weight = torch.randn(3, 4).double()
    mask = threshold_mask(torch.randn(3, 4), 0.5).double()

    def loss(mask: Tensor) -> Tensor:
        return (torch.tanh(inputs @ (weight * mask).T) - targets).square().mean()

    masked = (weight * mask).requires_grad_()
    by_masked = (torch.tanh(inputs @ masked.T) - targets).square().mean()
    (gradient,) = torch.autograd.grad(by_masked, masked)

    nudges = 1e-6 * torch.eye(12).double().view(12, 3, 4)
    differences = [((loss(mask + n) - loss(mask - n)) / 2e-6).item() for n in nudges]
    ours = score_gradient(weight, gradient).flatten().tolist()
    assert ours == pytest.approx(differences, rel=1e-6, abs=1e-10)


def test_scores_of_weights_that_move_away_from_zero_rise() -> None:
    weight = torch.tensor([1.0, 1.0, -1.0, -1.0])
    gradient = torch.tensor([-0.5, 0.5, 0.5, -0.5])
    moved = weight - 0.1 * gradient
    scores = -0.1 * score_gradient(weight, gradient)
    assert torch.equal(scores > 0, moved.abs() > weight.abs())


def test_scores_move_down_their_gradient() -> None:
    weight = torch.nn.Parameter(torch.tensor([[2.0, -1, 0], [1, -3, 4]]))
    gradient = torch.tensor([[0.5, 2, 7], [-1, -1, 0]])
    scores = torch.ones(2, 3)
    move_scores_(scores, weight, gradient, 0.5)
    assert scores.tolist() == [[0.5, 2, 1], [1.5, -0.5, 1]]
    assert torch.equal(scores, 1 - 0.5 * score_gradient(weight, gradient))
    assert not scores.requires_grad


def test_score_gradient_is_outside_autograd() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    assert not score_gradient(weight, torch.ones(2, 2)).requires_grad


def test_score_gradient_wants_equal_shapes() -> None:
    with pytest.raises(ValueError, match=r"the shape \(2, 3\) of `weight`, got \(3,\)"):
        score_gradient(torch.zeros(2, 3), torch.zeros(3))


def test_soft_mask_compares_sigmoids() -> None:
    # sigmoid(-log 9) = 0.1: strictly above is kept.
    scores = torch.tensor(
        [[-3.0, -math.log(9) - 1e-3, -math.log(9) + 1e-3], [0.0, 2.0, -torch.inf]]
    )
    expected = [[False, False, True], [True, True, False]]
    assert soft_movement_mask(scores, 0.1).tolist() == expected
    assert soft_movement_mask(torch.zeros(2), 0.5).tolist() == [False, False]


@pytest.mark.parametrize("wrong", [1.0, -0.1, math.nan])
def test_soft_threshold_is_a_share(wrong: float) -> None:
    with pytest.raises(ValueError, match=rf"`threshold` to be in \[0, 1\), got {wrong}\."):
        soft_movement_mask(torch.zeros(2), wrong)


def test_regularization_by_hand() -> None:
    scores = torch.tensor([[0.0, math.log(3)], [-math.log(3), 0.0]])
    assert score_regularization(scores).item() == pytest.approx(0.5)
    assert score_regularization_gradient(scores).flatten().tolist() == pytest.approx(
        [1 / 16, 3 / 64, 3 / 64, 1 / 16]
    )


def test_regularization_gradient_is_that_of_autograd() -> None:
    scores = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(score_regularization(scores), scores)
    assert score_regularization_gradient(scores).flatten().tolist() == pytest.approx(
        expected.flatten().tolist()
    )


def test_regularization_does_not_depend_on_the_size() -> None:
    scores = torch.randn(4, 6)
    assert score_regularization(scores.repeat(3, 2)).item() == pytest.approx(
        score_regularization(scores).item()
    )
