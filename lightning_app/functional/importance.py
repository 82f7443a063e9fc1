"""How much the loss depends on a weight, a block of weights or a gate: the higher, the more."""

from collections.abc import Sequence

import torch
from torch import Tensor


def magnitude_importance(weight: Tensor, order: int = 1) -> Tensor:
    """Magnitude of each weight: ``|w|``, or ``w**2``, which sums to a block's squared norm.

    Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015,
    arXiv:1506.02626, section 3.

    Args:
        weight: Any shape.
        order: 1 for ``|w|``, 2 for ``w**2``. Single weights rank the same by both.

    Returns:
        The shape of ``weight``; half precision is squared in float32, where it cannot underflow.

    Raises:
        ValueError: If the order is neither 1 nor 2.
    """
    _check_order(order)
    return weight.detach().abs() if order == 1 else _single(weight.detach()).square()


def random_importance(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform in [0, 1): the baseline that any other importance has to beat.

    Args:
        weight: Any shape; only its shape and device matter.
        generator: Where the numbers are drawn, on its own device: a CPU generator gives the same
            importance on every accelerator.

    Returns:
        The shape of ``weight``, in float32.
    """
    drawn = torch.rand(weight.shape, generator=generator, device=generator.device)
    return drawn.to(weight.device)


def block_importance(scores: Tensor, block_shape: tuple[int, int]) -> Tensor:
    """Importance of each block of weights: the sum over its entries.

    Args:
        scores: ``[rows, cols]``, importance of single weights.
        block_shape: Rows and columns of a block; they must divide those of ``scores``.

    Returns:
        ``[rows / block_rows, cols / block_cols]``; half precision is summed in float32. A block
        with an entry of ``-inf`` is ``-inf``.

    Raises:
        ValueError: If ``scores`` is no matrix, or is not divided by the blocks.
    """
    _check_blocks(scores, block_shape)
    rows, cols = block_shape
    tiles = torch.unflatten(torch.unflatten(_single(scores), 1, (-1, cols)), 0, (-1, rows))
    return tiles.sum(dim=(1, 3))


def gate_taylor_importance(gradients: Tensor, order: int = 1) -> Tensor:
    """Estimated change of the loss when a gate closes, from the gradients at open gates.

    A gate multiplies the output of a head or neuron and is 1; to first order, closing it changes
    the loss of a sample by minus its gradient. ``order=1`` takes the mean magnitude: Michel et
    al., "Are Sixteen Heads Really Better than One?", 2019, arXiv:1905.10650, section 4.1.
    ``order=2`` takes the mean square: Molchanov et al., "Importance Estimation for Neural Network
    Pruning", 2019, arXiv:1906.10771, equation 8.

    Args:
        gradients: ``[samples, gates]``, of each sample's own loss: in a gradient of the mean loss
            samples of opposite sign cancel.
        order: 1 for the magnitude, 2 for the square.

    Returns:
        ``[gates]``, at least float32.

    Raises:
        ValueError: If the order is neither 1 nor 2, or there are no samples.
    """
    _check_order(order)
    if gradients.ndim < 2 or len(gradients) == 0:
        raise ValueError(
            "Expected `gradients` to be [samples, gates] with at least one sample, got shape"
            f" {tuple(gradients.shape)}."
        )
    return _single(gradients).abs().pow(order).mean(dim=0)


def normalize_by_layer(importance: Sequence[Tensor]) -> list[Tensor]:
    """Each layer's importance divided by its l2 norm, so that layers can be ranked together.

    Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient Inference",
    2017, arXiv:1611.06440, section 2.2; for heads Michel et al. 2019, arXiv:1905.10650,
    section 4.1.

    Args:
        importance: One finite tensor of any shape a layer: normalize first, then set what is
            pruned already to ``-inf``.

    Returns:
        Tensors of norm 1 in the same shapes, at least float32; a layer of zeros stays zero.
    """
    return [_unit(_single(layer)) for layer in importance]


def _unit(layer: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(layer)
    return layer / norm.clamp_min(torch.finfo(layer.dtype).tiny)


def _single(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _check_order(order: int) -> None:
    if order not in (1, 2):
        raise ValueError(f"Expected `order` to be 1 or 2, got {order}.")


def _check_blocks(scores: Tensor, block_shape: tuple[int, int]) -> None:
    shape = tuple(scores.shape)
    if len(shape) != 2:
        raise ValueError(f"Expected `scores` to be a matrix [rows, cols], got shape {shape}.")
    if any(block < 1 or size % block for size, block in zip(shape, block_shape, strict=True)):
        fits = tuple(_nearest_divisor(*pair) for pair in zip(shape, block_shape, strict=True))
        raise ValueError(
            f"Expected `block_shape` to divide the shape of `scores`, got {tuple(block_shape)} for"
            f" {shape}; did you mean {fits}?"
        )


def _nearest_divisor(size: int, wanted: int) -> int:
    divisors = (number for number in range(1, max(size, 1) + 1) if size % number == 0)
    return min(divisors, key=lambda number: abs(number - wanted))
