from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_app.functional.second_order import (
    accumulate_fisher_,
    diagonal_scores,
    fisher_blocks,
    inverse_fisher,
    second_order_scores,
    second_order_update,
)

DAMPENING = 1e-2
NUM_GRADIENTS, ROWS, COLS, SIZE = 9, 4, 5, 6  # 20 weights: three blocks, and one of 2 of 6
Array = np.ndarray[Any, np.dtype[np.floating[Any]]]


@pytest.fixture
def gradients() -> Tensor:
    return torch.randn(NUM_GRADIENTS, ROWS, COLS, dtype=torch.float64)


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(ROWS, COLS, dtype=torch.float64)


@pytest.fixture
def pruned() -> Tensor:
    chosen = torch.zeros(ROWS * COLS, dtype=torch.bool)
    # Several in the first block, none in the second, all in the third, one in the last.
    chosen[[0, 2, 5, *range(12, 18), 19]] = True
    return chosen.view(ROWS, COLS)


def dense_fisher(gradients: Tensor) -> Array:
    """The dampened block-diagonal matrix over all weights, by explicit loops."""
    flat = gradients.flatten(1).numpy()
    numel = flat.shape[1]
    matrix = DAMPENING * np.eye(numel)
    for i in range(numel):
        for j in range(numel):
            if i // SIZE == j // SIZE:
                matrix[i, j] += (flat[:, i] * flat[:, j]).sum() / len(flat)
    return matrix


def inverse_of(gradients: Tensor, kept: Tensor | None = None) -> Tensor:
    return inverse_fisher(fisher_blocks(gradients, SIZE), NUM_GRADIENTS, DAMPENING, kept)


def joint_removal(fisher: Array, weight: Array, removed: list[int]) -> Array:
    """Minimum of d F d / 2 under d_Q = -w_Q, by its KKT system."""
    numel, count = len(weight), len(removed)
    constraints = np.eye(numel)[removed]
    system = np.block([[fisher, constraints.T], [constraints, np.zeros((count, count))]])
    solution = np.linalg.solve(system, np.concatenate([np.zeros(numel), -weight[removed]]))
    return np.asarray(weight + solution[:numel])


def rise(fisher: Array, before: Array, after: Array) -> float:
    return float((after - before) @ fisher @ (after - before) / 2)


def updated_weight(weight: Tensor, inverse: Tensor, pruned: Tensor) -> Tensor:
    return weight + second_order_update(weight, inverse, pruned)


def assert_close(ours: Tensor, reference: Array) -> None:
    np.testing.assert_allclose(ours.flatten().numpy(), reference.ravel(), rtol=1e-9, atol=1e-11)


def test_blocks_by_hand() -> None:
    gradients = torch.tensor([[1.0, 2, 3], [0, -1, 1]])
    expected = [[[1, 2], [2, 5]], [[10, 0], [0, 0]]]
    assert fisher_blocks(gradients, 2).tolist() == expected


def test_blocks_are_those_of_the_dense_matrix(gradients: Tensor) -> None:
    blocks = fisher_blocks(gradients, SIZE) / NUM_GRADIENTS
    dense = dense_fisher(gradients) - DAMPENING * np.eye(ROWS * COLS)
    assert blocks.shape == (4, SIZE, SIZE)
    for number, block in enumerate(blocks):
        reference = dense[number * SIZE :, number * SIZE :][:SIZE, :SIZE]
        size = len(reference)
        assert_close(block[:size, :size], reference)
        assert not block[size:].any()
        assert not block[:, size:].any()


def test_pieces_add_up_to_the_whole(gradients: Tensor) -> None:
    pieces = fisher_blocks(gradients[:1], SIZE)
    same = accumulate_fisher_(pieces, gradients[1:6])
    accumulate_fisher_(pieces, gradients[6:].flatten(1))
    assert same is pieces
    assert_close(pieces, fisher_blocks(gradients, SIZE).numpy())


def test_no_gradients_make_a_fisher_of_zeros() -> None:
    empty = fisher_blocks(torch.zeros(1, 20), SIZE)
    assert torch.equal(empty, torch.zeros(4, SIZE, SIZE))
    assert torch.equal(accumulate_fisher_(empty, torch.zeros(0, 20)), empty)


def test_half_precision_gradients_are_summed_in_float32() -> None:
    blocks = fisher_blocks(torch.full((3, 4), 1e-4, dtype=torch.float16), 4)
    assert blocks.dtype == torch.float32
    assert blocks.flatten().tolist() == pytest.approx([3e-8] * 16, rel=1e-2)


def test_inverse_is_that_of_numpy(gradients: Tensor) -> None:
    dense = np.linalg.inv(dense_fisher(gradients))
    for number, block in enumerate(inverse_of(gradients)):
        reference = dense[number * SIZE :, number * SIZE :][:SIZE, :SIZE]
        assert_close(block[: len(reference), : len(reference)], reference)


def test_scores_are_the_rise_of_the_loss_when_one_weight_goes(
    gradients: Tensor, weight: Tensor
) -> None:
    fisher, flat = dense_fisher(gradients), weight.flatten().numpy()
    scores = second_order_scores(weight, inverse_of(gradients))
    assert scores.shape == weight.shape
    rises = [rise(fisher, flat, joint_removal(fisher, flat, [i])) for i in range(len(flat))]
    assert_close(scores, np.array(rises))


def test_update_is_the_constrained_minimum(
    gradients: Tensor, weight: Tensor, pruned: Tensor
) -> None:
    removed = pruned.flatten().nonzero().flatten().tolist()
    reference = joint_removal(dense_fisher(gradients), weight.flatten().numpy(), removed)
    updated = updated_weight(weight, inverse_of(gradients), pruned)
    assert_close(updated, reference)
    assert (updated[pruned] == 0).all()


def test_update_follows_the_formula_of_the_paper(gradients: Tensor, weight: Tensor) -> None:
    inverse = inverse_of(gradients)
    chosen = [1, 4]
    pruned = torch.zeros(ROWS * COLS, dtype=torch.bool)
    pruned[chosen] = True
    block, flat = inverse[0], weight.flatten()
    delta = -block[:, chosen] @ torch.linalg.inv(block[chosen][:, chosen]) @ flat[chosen]
    updated = updated_weight(weight, inverse, pruned.view(ROWS, COLS)).flatten()
    assert_close(updated[:SIZE], (flat[:SIZE] + delta).numpy())
    assert torch.equal(updated[SIZE:], flat[SIZE:])


def test_update_costs_less_than_zeroing_alone(
    gradients: Tensor, weight: Tensor, pruned: Tensor
) -> None:
    fisher, flat = dense_fisher(gradients), weight.flatten().numpy()
    updated = updated_weight(weight, inverse_of(gradients), pruned).flatten().numpy()
    zeroed = weight.masked_fill(pruned, 0).flatten().numpy()
    assert rise(fisher, flat, updated) < rise(fisher, flat, zeroed)


def test_nothing_pruned_changes_nothing(gradients: Tensor, weight: Tensor) -> None:
    nothing = torch.zeros_like(weight, dtype=torch.bool)
    assert torch.equal(updated_weight(weight, inverse_of(gradients), nothing), weight)


def test_everything_pruned_is_zero(gradients: Tensor, weight: Tensor) -> None:
    everything = torch.ones_like(weight, dtype=torch.bool)
    assert not updated_weight(weight, inverse_of(gradients), everything).any()


def test_a_diagonal_fisher_moves_no_other_weight(weight: Tensor, pruned: Tensor) -> None:
    inverse = inverse_fisher(torch.zeros(4, SIZE, SIZE, dtype=torch.float64), 1, 0.5)
    expected = weight.masked_fill(pruned, 0)
    assert torch.equal(updated_weight(weight, inverse, pruned), expected)
    assert_close(second_order_scores(weight, inverse), (weight.square() / 4).numpy())


def test_what_was_pruned_before_stays_at_zero(gradients: Tensor, weight: Tensor) -> None:
    kept = torch.rand(ROWS, COLS) > 0.4
    weight = weight * kept
    now = kept & (torch.rand(ROWS, COLS) > 0.5)
    updated = updated_weight(weight, inverse_of(gradients, kept), now)
    assert (updated[~kept] == 0).all()

    # The problem over the surviving weights alone.
    alive = kept.flatten().nonzero().flatten().numpy()
    fisher = dense_fisher(gradients)[np.ix_(alive, alive)]
    removed = now[kept].nonzero().flatten().tolist()
    reference = joint_removal(fisher, weight[kept].numpy(), removed)
    assert_close(updated[kept], reference)

    unaware = updated_weight(weight, inverse_of(gradients), now)
    assert (unaware[~kept] != 0).any()


def test_removing_again_what_was_pruned_before_is_harmless(
    gradients: Tensor, weight: Tensor, pruned: Tensor
) -> None:
    kept = torch.rand(ROWS, COLS) > 0.4
    weight = weight * kept
    inverse = inverse_of(gradients, kept)
    all_pruned = updated_weight(weight, inverse, pruned | ~kept)
    newly_pruned = updated_weight(weight, inverse, pruned & kept)
    assert_close(all_pruned, newly_pruned.numpy())


def test_float32_and_a_lower_precision_weight() -> None:
    gradients = 1e-2 * torch.randn(32, 300)
    weight = torch.randn(300).bfloat16()
    inverse = inverse_fisher(fisher_blocks(gradients, 50), 32, 1e-7)
    precise = inverse_fisher(fisher_blocks(gradients.double(), 50), 32, 1e-7)
    pruned = torch.arange(300) % 3 == 0
    scores = second_order_scores(weight, inverse)
    assert scores.dtype == torch.float32
    assert scores.tolist() == pytest.approx(second_order_scores(weight, precise).tolist(), rel=1e-2)
    updated = updated_weight(weight, inverse, pruned)
    assert updated.dtype == torch.bfloat16
    reference = updated_weight(weight.double(), precise, pruned)
    assert updated.tolist() == pytest.approx(reference.tolist(), rel=1e-2, abs=1e-2)


def test_a_parameter_is_left_alone(gradients: Tensor, weight: Tensor, pruned: Tensor) -> None:
    parameter = torch.nn.Parameter(weight.clone())
    change = second_order_update(parameter, inverse_of(gradients), pruned)
    assert not change.requires_grad
    assert torch.equal(parameter, weight)


def test_arguments_outside_their_intervals_are_refused() -> None:
    fisher = torch.zeros(1, 2, 2)
    with pytest.raises(ValueError, match="`block_size` to be at least 1, got 0"):
        fisher_blocks(torch.zeros(1, 4), 0)
    with pytest.raises(ValueError, match="`num_gradients` to be at least 1, got 0"):
        inverse_fisher(fisher, 0, 0.1)
    for wrong in (0.0, -1.0, torch.nan):
        with pytest.raises(ValueError, match=f"`dampening` to be above 0, got {wrong}"):
            inverse_fisher(fisher, 1, wrong)


def test_a_dampening_that_drowns_in_rounding_is_refused() -> None:
    fisher = fisher_blocks(torch.tensor([[1e3, 1e3], [1e3, 1e3]]), 2)
    with pytest.raises(ValueError, match="positive definite in float32, got 1e-07; raise it"):
        inverse_fisher(fisher, 2, 1e-7)


def test_gradients_that_are_not_finite_are_refused() -> None:
    fisher = fisher_blocks(torch.tensor([[1.0, torch.nan]]), 2)
    with pytest.raises(ValueError, match="see that the gradients are finite"):
        inverse_fisher(fisher, 1, 0.1)


def test_what_does_not_fill_the_blocks_is_refused(gradients: Tensor, weight: Tensor) -> None:
    inverse = inverse_of(gradients)
    fill = "to fill 4 blocks of 6, got 18 entries"
    with pytest.raises(ValueError, match=f"`gradients` {fill}"):
        accumulate_fisher_(inverse.clone(), torch.zeros(2, 18))
    with pytest.raises(ValueError, match=f"`weight` {fill}"):
        second_order_scores(torch.zeros(18), inverse)
    with pytest.raises(ValueError, match=f"`kept` {fill}"):
        inverse_fisher(inverse, 1, 0.1, torch.ones(18).bool())
    with pytest.raises(ValueError, match=f"`weight` {fill}"):
        second_order_update(torch.zeros(18), inverse, torch.ones(18).bool())
    with pytest.raises(ValueError, match=r"the shape \(4, 5\) of `weight`, got \(20,\)"):
        second_order_update(weight, inverse, torch.ones(20).bool())


def test_scores_of_a_diagonal_are_those_of_blocks_of_one() -> None:
    weight, squares = (
        torch.tensor([[1.0, -2.0], [0.5, 0.0]]),
        torch.tensor([[4.0, 1.0], [8.0, 2.0]]),
    )
    assert diagonal_scores(weight, squares).tolist() == [[2.0, 2.0], [1.0, 0.0]]
    inverse = inverse_fisher(squares.view(4, 1, 1), 1, 1e-12)
    torch.testing.assert_close(
        diagonal_scores(weight, squares), second_order_scores(weight, inverse)
    )
    with pytest.raises(ValueError, match=r"shape \(2, 2\) of `weight`, got \(4,\)"):
        diagonal_scores(weight, squares.flatten())
