"""Fake quantization, the integers that it stands for, and the ranges that observers take.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
Only Inference" (arXiv:1712.05877): the forward pass computes with values rounded to what integers
can say, and the gradient goes straight through the rounding (Bengio et al. 2013,
arXiv:1308.3432) and stops where a value was clipped. Activations have a zero point and all integers
from ``-2**(bits - 1)`` to ``2**(bits - 1) - 1``, weights are symmetric about zero and have no use
for the first of them. In float32 the numerics are torchao's, bit for bit, but for the largest
weight of a row. Its scale puts that weight on 127.5, right between two integers, where the last bit
of a float decides: whether it is clipped and gets no gradient, and, if negative, which integer it
is. Two machines, or one process and two, would train apart. Here it is 127 or -127, and has its
gradient.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad


def integer_range(bits: int) -> tuple[int, int]:
    """Smallest and largest signed integer of so many bits.

    Raises:
        ValueError: If ``bits`` is not in [2, 8].
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"Expected `bits` to be in [2, 8], got {bits}.")
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def fake_quantize_weight(weight: Tensor, bits: int = 8, group_size: int | None = None) -> Tensor:
    """Round each row, or each group of neighbours in a row, to its own symmetric grid.

    Zeros stay zero. Equals :func:`dequantize_weight` of :func:`quantize_weight`, bit for bit.

    Args:
        weight: ``[..., columns]``; a scale is of one row, or of one group.
        bits: Of the integers, in [2, 8].
        group_size: Columns with a scale of their own; the last group may be smaller. None is all.

    Returns:
        The shape and dtype of ``weight``, with gradients straight through, of all weights.
    """
    groups = _in_groups(weight, group_size)
    scales = _symmetric_scales(groups, bits)
    fake: Tensor = _FakeQuantizeSymmetric.apply(groups, scales, integer_range(bits)[1])  # type: ignore[no-untyped-call]
    return _out_of_groups(fake, weight.shape[-1])


def quantize_weight(
    weight: Tensor, bits: int = 8, group_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """The integers and scales of :func:`fake_quantize_weight`, for export.

    Args:
        weight: ``[rows, columns]``.
        bits: Of the integers, in [2, 8].
        group_size: Columns with a scale of their own; None is all.

    Returns:
        int8 ``[rows, columns]`` and float32 ``[rows, groups]``: a weight is integer times scale.
    """
    groups = _in_groups(weight.detach(), group_size)
    scales = _symmetric_scales(groups, bits)
    integers = _symmetric_integers(groups, scales, integer_range(bits)[1])
    return _out_of_groups(integers, weight.shape[-1]).to(torch.int8), scales.squeeze(-1)


def dequantize_weight(integers: Tensor, scales: Tensor, group_size: int | None = None) -> Tensor:
    """Weights of integers.

    Args:
        integers: ``[rows, columns]``.
        scales: ``[rows, groups]``.
        group_size: As it was for :func:`quantize_weight`.

    Returns:
        ``[rows, columns]`` in the dtype of ``scales``.
    """
    groups = _in_groups(integers.to(scales.dtype), group_size)
    return _out_of_groups(groups * scales.unsqueeze(-1), integers.shape[-1])


def asymmetric_parameters(minimum: Tensor, maximum: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """Scale and zero point of a grid over a range, widened to hold zero, which it says exactly.

    Args:
        minimum: Any shape.
        maximum: The same shape.
        bits: Of the integers, in [2, 8].

    Returns:
        Scales (float32 at least) and zero points (int32), in that shape: a value is
        ``(integer - zero_point) * scale``.
    """
    smallest, largest = integer_range(bits)
    low = _at_least_float32(minimum).clamp(max=0.0)
    high = _at_least_float32(maximum).clamp(min=0.0)
    scales = ((high - low) / (largest - smallest)).clamp(min=_tiny(low))
    zero_points = (smallest - (low / scales).round()).clamp(smallest, largest)
    return scales, zero_points.to(torch.int32)


def fake_quantize_tokens(hidden: Tensor, bits: int = 8) -> Tensor:
    """Round each token to the grid over its own range, as a runtime with dynamic scales does.

    Args:
        hidden: ``[..., features]``.
        bits: Of the integers, in [2, 8].

    Returns:
        The shape and dtype of ``hidden``, with gradients straight through.
    """
    smallest, largest = integer_range(bits)
    wide = _at_least_float32(hidden.detach())
    scales, zero_points = asymmetric_parameters(*_extremes(wide), bits)
    below, above = (bound - zero_points.to(scales.dtype) for bound in (smallest, largest))
    fake: Tensor = _FakeQuantize.apply(hidden, scales, below, above)  # type: ignore[no-untyped-call]
    return fake


def fake_quantize_tensor(hidden: Tensor, scale: float, zero_point: int, bits: int = 8) -> Tensor:
    """Round to one fixed grid, as a runtime with static scales does.

    Args:
        hidden: Any shape.
        scale: Of :func:`asymmetric_parameters`.
        zero_point: Of :func:`asymmetric_parameters`.
        bits: Of the integers, in [2, 8].

    Returns:
        The shape and dtype of ``hidden``; gradients go straight through, but not where it is
        clipped.
    """
    smallest, largest = integer_range(bits)
    fake: Tensor = _FakeQuantize.apply(  # type: ignore[no-untyped-call]
        hidden, scale, smallest - zero_point, largest - zero_point
    )
    return fake


def outermost(values: Tensor, count: int) -> Tensor:
    """``[2, count]``, float32: the smallest values and the largest, from the outside in.

    Args:
        values: Any shape.
        count: How many at each side; where there are fewer, infinities follow.
    """
    flat = values.detach().flatten()
    if count == 1:
        return torch.stack(torch.aminmax(flat)).float().unsqueeze(1)
    present = min(count, flat.numel())
    low, high = (flat.topk(present, largest=side).values.float() for side in (False, True))
    missing = (0, count - present)
    return torch.stack((pad(low, missing, value=torch.inf), pad(high, missing, value=-torch.inf)))


def num_outside(count: int, percentile: float) -> int:
    """How many of so many values a percentile leaves out at each side.

    Raises:
        ValueError: If the percentile is not in (0, 100].
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"Expected `percentile` to be in (0, 100], got {percentile}.")
    return int(count * (100 - percentile) / 200)


def range_within(ends: Tensor, outside: int) -> Tensor:
    """``[2]``: the range that is left without the outermost values.

    Args:
        ends: Of :func:`outermost`, ``[..., 2, n]``, of one tensor or of several that are taken
            together.
        outside: How many to leave out at each side.
    """
    low, high = ends.movedim(-2, 0).flatten(1)
    return torch.stack((low.sort().values[outside], high.sort(descending=True).values[outside]))


def percentile_range(values: Tensor, percentile: float) -> Tensor:
    """``[2]``: the range that is left without the outermost values, half of them at each side.

    Args:
        values: Any shape.
        percentile: Share of the values within, in per cent, in (0, 100]; 100 is all.
    """
    outside = num_outside(values.numel(), percentile)
    return range_within(outermost(values, outside + 1), outside)


def moving_average(average: Tensor, new: Tensor, constant: float, count: int) -> Tensor:
    """``average`` moved towards ``new``: by ``1 / count`` at first, by ``constant`` later.

    It is the mean of all while there are fewer than ``1 / constant``, so that the first batch does
    not count for more than others, and an exponential average afterwards.

    Args:
        average: Of what came before; not read when ``count`` is 1.
        new: The same shape.
        constant: In (0, 1].
        count: How many there are with ``new``, from 1.
    """
    if count == 1:
        return new
    return average + max(constant, 1 / count) * (new - average)


class _FakeQuantize(torch.autograd.Function):
    """``clamp(round(values / scale), smallest, largest) * scale``.

    With the zero point in the bounds in place of added and taken away again: the same bits, and
    two passes over memory fewer.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        scale: Tensor | float,
        smallest: Tensor | float,
        largest: Tensor | float,
    ) -> Tensor:
        steps = (_at_least_float32(values) * (1.0 / scale)).round_()
        clipped = torch.clamp(steps, smallest, largest)  # type: ignore[arg-type]  # both of a kind
        ctx.save_for_backward(steps != clipped)
        return clipped.mul_(scale).to(values.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (outside,) = ctx.saved_tensors
        return grad.masked_fill(outside, 0.0), None, None, None


class _FakeQuantizeSymmetric(torch.autograd.Function):
    """The same for scales that leave nothing to be clipped but the half step of the largest."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, largest: int) -> Tensor:
        return _symmetric_integers(values, scale, largest).mul_(scale).to(values.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad, None, None


def _symmetric_integers(values: Tensor, scales: Tensor, largest: int) -> Tensor:
    """Of weights, as floats: the largest of a group is ``largest`` or ``-largest``."""
    return (_at_least_float32(values) * (1.0 / scales)).round_().clamp_(-largest, largest)


def _symmetric_scales(groups: Tensor, bits: int) -> Tensor:
    """``[..., groups, 1]`` of ``[..., groups, group]``."""
    smallest, largest = integer_range(bits)
    low, high = _extremes(_at_least_float32(groups.detach()))
    return (torch.maximum(-low, high) / ((largest - smallest) / 2)).clamp(min=_tiny(low))


def _extremes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest ``[..., 1]`` of ``[..., n]``."""
    if values.device.type == "xla":  # which would take `aminmax` to the host
        return values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    low, high = torch.aminmax(values, dim=-1, keepdim=True)
    return low, high


def _in_groups(weight: Tensor, group_size: int | None) -> Tensor:
    """``[..., groups, group]``, filled up with zeros, which change no symmetric scale."""
    columns = weight.shape[-1]
    size = columns if group_size is None else group_size
    if size < 1:
        raise ValueError(f"Expected `group_size` to be at least 1, got {size}.")
    if columns % size:
        weight = pad(weight, (0, -columns % size))
    return weight.reshape(*weight.shape[:-1], -(-columns // size), size)


def _out_of_groups(groups: Tensor, columns: int) -> Tensor:
    flat = groups.flatten(-2)
    return flat if flat.shape[-1] == columns else flat[..., :columns]


def _at_least_float32(tensor: Tensor) -> Tensor:
    """bfloat16 cannot say a scale to the precision that a runtime has."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _tiny(tensor: Tensor) -> float:
    """What a scale of nothing but zeros is, so that nothing is divided by zero."""
    return torch.finfo(tensor.dtype).smallest_normal
