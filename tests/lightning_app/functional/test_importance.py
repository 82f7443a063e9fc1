import pytest
import torch
from torch import Tensor

from lightning_app.functional.importance import (
    block_importance,
    gate_taylor_importance,
    magnitude_importance,
    normalize_by_layer,
    random_importance,
)

WEIGHT = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -4.0]])


def test_magnitude_by_hand() -> None:
    assert magnitude_importance(WEIGHT).tolist() == [[1, 2, 0.5], [0, 3, 4]]
    assert magnitude_importance(WEIGHT, order=2).tolist() == [[1, 4, 0.25], [0, 9, 16]]


def test_magnitude_of_a_parameter_is_outside_autograd() -> None:
    weight = torch.nn.Parameter(WEIGHT.clone())
    assert not magnitude_importance(weight).requires_grad
    assert not magnitude_importance(weight, order=2).requires_grad


def test_squares_of_half_precision_do_not_underflow() -> None:
    tiny = torch.tensor([1e-4, 2e-4], dtype=torch.float16)
    first, second = magnitude_importance(tiny, order=2).tolist()
    assert second == pytest.approx(4 * first, rel=1e-2)
    assert first > 0


def test_blocks_of_squares_are_squared_norms() -> None:
    squares = magnitude_importance(torch.randn(8, 6), order=2)
    assert block_importance(squares, (8, 6)).item() == pytest.approx(squares.sum().item())


def test_random_is_reproducible_uniform_and_blind_to_the_weight() -> None:
    first = random_importance(torch.zeros(300, 40), torch.Generator().manual_seed(3))
    second = random_importance(torch.ones(300, 40), torch.Generator().manual_seed(3))
    assert torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() < 1
    assert first.mean().item() == pytest.approx(0.5, abs=0.02)


def test_random_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    random_importance(WEIGHT, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


def test_blocks_by_hand() -> None:
    scores = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    assert block_importance(scores, (2, 2)).tolist() == [[14, 22]]
    assert block_importance(scores, (1, 4)).tolist() == [[10], [26]]
    assert block_importance(scores, (2, 1)).tolist() == [[6, 8, 10, 12]]
    assert torch.equal(block_importance(scores, (1, 1)), scores)


def test_blocks_equal_a_loop_over_slices() -> None:
    scores = torch.rand(12, 20)
    pooled = block_importance(scores, (4, 5))
    assert pooled.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            block = scores[4 * i : 4 * i + 4, 5 * j : 5 * j + 5]
            assert pooled[i, j].item() == pytest.approx(block.sum().item())


def test_a_block_with_a_pruned_entry_is_minus_infinity() -> None:
    scores = torch.ones(4, 4)
    scores[1, 2] = -torch.inf
    assert block_importance(scores, (2, 2)).tolist() == [[4, -torch.inf], [4, 4]]


def test_blocks_of_half_precision_are_summed_in_float32() -> None:
    pooled = block_importance(torch.full((32, 32), 100.0, dtype=torch.float16), (32, 32))
    assert pooled.item() == 102400.0


@pytest.mark.parametrize(
    ("block_shape", "suggestion"),
    [((4, 4), (4, 3)), ((3, 6), (2, 6)), ((16, 5), (8, 6)), ((0, 2), (1, 2))],
)
def test_blocks_that_do_not_fit_name_those_that_do(
    block_shape: tuple[int, int], suggestion: tuple[int, int]
) -> None:
    message = f"got {block_shape} for (8, 6); did you mean {suggestion}?"
    with pytest.raises(ValueError, match="Expected `block_shape` to divide") as caught:
        block_importance(torch.zeros(8, 6), block_shape)
    assert str(caught.value).endswith(message)
    block_importance(torch.zeros(8, 6), suggestion)


def test_blocks_want_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"a matrix \[rows, cols\], got shape \(4,\)"):
        block_importance(torch.zeros(4), (2, 2))


def test_taylor_by_hand() -> None:
    gradients = torch.tensor([[1.0, -2, 0], [-3, -2, 0]])
    assert gate_taylor_importance(gradients).tolist() == [2, 2, 0]
    assert gate_taylor_importance(gradients, order=2).tolist() == [5, 4, 0]


def test_taylor_is_the_finite_difference_of_the_loss_by_gates() -> None:
    torch.manual_seed(2)
    inputs, targets = torch.randn(6, 4).double(), torch.randn(6).double()
    first, second = torch.randn(5, 4).double(), torch.randn(5).double()

    def losses(gates: Tensor) -> Tensor:
        hidden = torch.tanh(inputs @ first.T) * gates
        return (hidden @ second - targets).square()

    # A row of gates a sample: rows of the gradient of the sum are gradients of the samples.
    gates = torch.ones(6, 5, dtype=torch.float64, requires_grad=True)
    (gradients,) = torch.autograd.grad(losses(gates).sum(), gates)

    step = 1e-6 * torch.eye(5).double()
    ones = torch.ones(5).double()
    columns = [(losses(ones + nudge) - losses(ones - nudge)) / 2e-6 for nudge in step]
    differences = torch.stack(columns, dim=1)
    expected = differences.abs().mean(0)
    assert gate_taylor_importance(gradients).tolist() == pytest.approx(expected.tolist())
    expected = differences.square().mean(0)
    assert gate_taylor_importance(gradients, order=2).tolist() == pytest.approx(expected.tolist())


def test_taylor_refuses_what_is_not_a_row_a_sample() -> None:
    with pytest.raises(ValueError, match=r"at least one sample, got shape \(3,\)"):
        gate_taylor_importance(torch.zeros(3))
    with pytest.raises(ValueError, match=r"at least one sample, got shape \(0, 3\)"):
        gate_taylor_importance(torch.zeros(0, 3))


def test_order_is_one_or_two() -> None:
    with pytest.raises(ValueError, match="Expected `order` to be 1 or 2, got 3"):
        magnitude_importance(WEIGHT, order=3)
    with pytest.raises(ValueError, match="Expected `order` to be 1 or 2, got 0"):
        gate_taylor_importance(torch.zeros(2, 3), order=0)


def test_normalized_layers_have_norm_one_and_keep_their_ranks() -> None:
    layers = [torch.tensor([3.0, 4.0]), 1e-6 * torch.rand(2, 3), torch.zeros(4)]
    normalized = normalize_by_layer(layers)
    assert normalized[0].tolist() == pytest.approx([0.6, 0.8])
    assert normalized[1].norm().item() == pytest.approx(1)
    assert torch.equal(normalized[1].flatten().argsort(), layers[1].flatten().argsort())
    assert normalized[2].tolist() == [0, 0, 0, 0]


def test_normalization_is_blind_to_the_scale_of_a_layer() -> None:
    layer = torch.rand(7)
    small, large = normalize_by_layer([layer, 1000 * layer])
    assert small.tolist() == pytest.approx(large.tolist())
