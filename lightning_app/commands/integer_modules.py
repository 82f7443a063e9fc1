"""Modules that hold the integers of fake-quantized ones, for a graph of ONNX's operators.

They compute nothing by themselves: traced, they become ``QuantizeLinear`` and its kin, around which
ONNX Runtime and OpenVINO choose their integer kernels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.onnx.ops import symbolic

from modules.fake_quantization import (
    FakeQuantized,
    FakeQuantizedEmbedding,
    activation_parameters,
    fake_quantized_modules,
    quantized_weight,
)

_SIGN = 128
"""Between int8 and uint8, in which both runtimes take activations; weights stay int8."""


def use_integers(network: nn.Module, explicit_tokens: bool) -> None:
    """Give the fake-quantized modules their integers in place of weights.

    They stay the same objects, so that what hooks into them still does.

    Args:
        network: Is changed, and can be traced only.
        explicit_tokens: Write the scale of each token (``dynamic``) as a graph, or leave
            activations as they are to a runtime that rounds them itself.
    """
    for module in fake_quantized_modules(network).values():
        kind = _kind(module, explicit_tokens)
        holds = {**_weights(module), **kind.constants(module)}
        module.__class__ = kind
        for name, values in holds.items():
            module.register_buffer(name, values)


def _kind(module: FakeQuantized, explicit_tokens: bool) -> Any:
    if isinstance(module, FakeQuantizedEmbedding):
        return _IntegerEmbedding
    how = module.quantization
    if how.scheme == "dynamic" and explicit_tokens:
        return _TokenLinear
    if how.scheme == "static" and how.activation_range is not None:
        return _StaticLinear
    return _WeightLinear


def _weights(module: FakeQuantized) -> dict[str, Tensor]:
    """int8 and scales: of an embedding by row, of a linear layer by column."""
    integers, scales = quantized_weight(module)
    if isinstance(module, FakeQuantizedEmbedding):
        return {"integers": integers, "scales": scales}
    return {"integers": integers.T.contiguous(), "scales": scales.flatten()}


class _IntegerEmbedding(nn.Embedding):
    """Rows of an int8 table, each times its scale."""

    integers: Tensor
    scales: Tensor

    @staticmethod
    def constants(module: FakeQuantized) -> dict[str, Tensor]:
        return {}

    def forward(self, input: Tensor) -> Tensor:
        """From ``[...]`` to ``[..., embedding_dim]``."""
        return F.embedding(input, self.integers).float() * F.embedding(input, self.scales)


class _IntegerLinear(nn.Linear):
    """What the linear ones have in common."""

    integers: Tensor
    scales: Tensor

    @staticmethod
    def constants(module: FakeQuantized) -> dict[str, Tensor]:
        return {}

    def _with_bias(self, hidden: Tensor) -> Tensor:
        return hidden if self.bias is None else hidden + self.bias

    def _times_integers(self, hidden: Tensor) -> Tensor:
        """An integer kernel, where ``hidden`` is just dequantized."""
        operands = (self.integers, self.scales)
        return hidden @ _operator("DequantizeLinear", operands, self.integers, torch.float32, 1)


class _WeightLinear(_IntegerLinear):
    """A float product: the runtimes multiply weights and scales once, when they open the file."""

    def forward(self, input: Tensor) -> Tensor:
        """From ``[..., in_features]`` to ``[..., out_features]``."""
        # ONNX Runtime would compute a DequantizeLinear anew for each batch.
        return self._with_bias(input @ (self.integers.float() * self.scales))


class _StaticLinear(_IntegerLinear):
    """An integer product of activations with a fixed scale."""

    activation_scale: Tensor
    activation_zero: Tensor

    @staticmethod
    def constants(module: FakeQuantized) -> dict[str, Tensor]:
        parameters = activation_parameters(module.quantization)
        assert parameters is not None
        scale, zero_point = parameters
        return {
            "activation_scale": torch.tensor(scale),
            "activation_zero": torch.tensor(zero_point + _SIGN, dtype=torch.uint8),
        }

    def forward(self, input: Tensor) -> Tensor:
        """From ``[..., in_features]`` to ``[..., out_features]``."""
        grid = (self.activation_scale, self.activation_zero)
        integers = _operator("QuantizeLinear", (input, *grid), input, torch.uint8)
        hidden = _operator("DequantizeLinear", (integers, *grid), input, torch.float32)
        return self._with_bias(self._times_integers(hidden))


class _TokenLinear(_IntegerLinear):
    """An integer product of activations with a scale and zero point for each token.

    The kernels know one zero point only. So they multiply ``integer - 128``, and what a token's own
    zero point adds to its row, a multiple of the weights' column sums, goes into the bias.
    """

    column_sums: Tensor
    one: Tensor
    sign: Tensor

    @staticmethod
    def constants(module: FakeQuantized) -> dict[str, Tensor]:
        integers, scales = quantized_weight(module)
        return {
            "column_sums": integers.sum(1, keepdim=True).mul(scales).T.contiguous(),
            "one": torch.tensor(1.0),
            "sign": torch.tensor(_SIGN, dtype=torch.uint8),
        }

    def forward(self, input: Tensor) -> Tensor:
        """From ``[..., in_features]`` to ``[..., out_features]``."""
        tokens = input.flatten(0, -2)
        scales, zeros = _token_parameters(tokens)
        grid = (scales, zeros.to(torch.uint8))
        integers = _operator("QuantizeLinear", (tokens, *grid), tokens, torch.uint8, 0)
        signed = (integers, self.one, self.sign)
        steps = _operator("DequantizeLinear", signed, tokens, torch.float32)
        shift = ((_SIGN - zeros) * scales).unsqueeze(1) @ self.column_sums
        found = self._times_integers(steps) * scales.unsqueeze(1) + self._with_bias(shift)
        return found.view(*input.shape[:-1], self.integers.shape[1])


def _token_parameters(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """As `asymmetric_parameters`, of uint8: scales and zero points ``[tokens]``, both float32."""
    low, high = tokens.amin(-1).clamp(max=0.0), tokens.amax(-1).clamp(min=0.0)
    scales = ((high - low) / 255).clamp(min=torch.finfo(torch.float32).smallest_normal)
    return scales, (-(low / scales).round()).clamp(0.0, 255.0)


def _operator(
    name: str, inputs: tuple[Tensor, ...], like: Tensor, dtype: torch.dtype, axis: int | None = None
) -> Tensor:
    """ONNX's operator of that name, with a result in the shape of ``like``."""
    attributes: Any = {} if axis is None else {"axis": axis}
    return symbolic(name, inputs, attributes, dtype=dtype, shape=like.shape)
