"""Dropout whose random mask costs a fraction of PyTorch's on a CPU."""

import torch
from torch import Tensor, nn

# One 64-bit draw of the generator serves four elements with 16 bits each.
_LEVELS = 1 << 16
_ELEMENTS_PER_DRAW = 4


def keep_mask(shape: torch.Size, probability: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw a dropout mask on the CPU: 0 where an element is dropped, 1 where it is kept.

    ``Tensor.bernoulli_`` makes one serial Mersenne-Twister draw and one floating-point
    conversion an element; here one 64-bit draw serves four elements, and the comparison is
    vectorized. Measured by `python -m benchmarks.kernels`.

    The draws come from torch's global CPU generator, so ``torch.manual_seed`` and a restored
    ``torch.get_rng_state()`` repeat them exactly.

    Args:
        shape: shape of the mask, any number of axes.
        probability: chance that an element is dropped, in [0, 1]. It is rounded to a multiple
            of 1/65536 (`dropped_fraction`).
        dtype: floating dtype of the mask.

    Returns:
        Mask of the given shape and dtype, contiguous.
    """
    count = shape.numel()
    draws = torch.empty(-(-count // _ELEMENTS_PER_DRAW), dtype=torch.int64)
    bits = draws.random_(-(2**63), None).view(torch.int16)[:count].view(shape)
    threshold = round(probability * _LEVELS) - _LEVELS // 2
    if threshold > torch.iinfo(torch.int16).max:  # all is dropped; the comparison would wrap
        return torch.zeros(shape, dtype=dtype)
    return torch.ge(bits, threshold, out=torch.empty(shape, dtype=dtype))


def dropped_fraction(probability: float) -> float:
    """Return the exact chance that `keep_mask` drops an element when asked for `probability`."""
    return round(probability * _LEVELS) / _LEVELS


class FastDropout(nn.Dropout):
    """``nn.Dropout`` with the mask of `keep_mask` on the CPU; elsewhere, ``nn.Dropout`` itself.

    The kept elements are scaled by the exact keep probability, so the expectation is that of
    the input. Without parameters or buffers: the state dict of a model does not change.

    Example:
        >>> module = FastDropout(0.5)
        >>> sorted(set(module(torch.ones(64)).tolist()))
        [0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drop elements of `input` (any shape) when in training mode."""
        dropped = dropped_fraction(self.p)
        if not self.training or dropped in (0.0, 1.0) or not is_eager_cpu(input) or self.inplace:
            return super().forward(input)
        return input * keep_mask(input.shape, dropped, input.dtype).mul_(1 / (1 - dropped))


def use_fast_dropout(model: nn.Module) -> int:
    """Put a `FastDropout` where `model` has an ``nn.Dropout``, in place.

    Hooks on the replaced modules are not carried over; call it before registering any.

    Args:
        model: any module; its parameter names do not change.

    Returns:
        Number of modules replaced. A second call replaces none.
    """
    num_replaced = 0
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, FastDropout(child.p, child.inplace).train(child.training))
                num_replaced += 1
    return num_replaced


def is_eager_cpu(tensor: Tensor) -> bool:
    """Tell whether `tensor` is floating, on the CPU, and not being compiled or traced."""
    return (
        tensor.device.type == "cpu"
        and tensor.is_floating_point()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    )
