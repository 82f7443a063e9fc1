"""Modules that compute what their quantized selves will; names, parameters and hooks stay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_app.functional.quantization import (
    asymmetric_parameters,
    fake_quantize_tensor,
    fake_quantize_tokens,
    fake_quantize_weight,
    quantize_weight,
)
from modules.quantization import ModuleQuantization, Quantization

Observer = Callable[[Tensor], Tensor]
"""From activations to their ends ``[2, n]``, the smallest and the largest."""


class FakeQuantizedLinear(nn.Linear):
    """An ``nn.Linear`` with fake-quantized weights and, by its scheme, activations.

    Never constructed: :func:`apply_quantization` makes an ``nn.Linear`` one and back, in place.

    Attributes:
        quantization: The scheme.
        observer: Takes the ends of the input of each forward pass in training mode; None for
            nothing to.
        observed: The outer ones of the ends that have been observed since it was last None.
    """

    quantization: ModuleQuantization
    observer: Observer | None = None
    observed: Tensor | None = None
    _activation: tuple[float, int] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """From ``[..., in_features]`` to ``[..., out_features]``."""
        how = self.quantization
        if self.observer is not None and self.training:
            self._observe(self.observer(input))
        if how.scheme == "dynamic":
            input = fake_quantize_tokens(input)
        elif self._activation is not None:
            input = fake_quantize_tensor(input, *self._activation)
        weight = fake_quantize_weight(self.weight, how.weight_bits, how.group_size)
        return F.linear(input, weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes and the scheme."""
        return f"{super().extra_repr()}, {_described(self.quantization)}"

    def _observe(self, found: Tensor) -> None:
        if self.observed is not None:
            (low, high), (other_low, other_high) = self.observed, found
            found = torch.stack((low.minimum(other_low), high.maximum(other_high)))
        self.observed = found


class FakeQuantizedEmbedding(nn.Embedding):
    """An ``nn.Embedding`` with fake-quantized rows: those that are looked up, not the table.

    A row's scale is its own, so that is the same; of a table of 30,522 rows a batch reads some
    hundred. Never constructed, as :class:`FakeQuantizedLinear`.
    """

    quantization: ModuleQuantization

    def forward(self, input: Tensor) -> Tensor:
        """From ``[...]`` to ``[..., embedding_dim]``."""
        how = self.quantization
        return fake_quantize_weight(super().forward(input), how.weight_bits, how.group_size)

    def extra_repr(self) -> str:
        """The sizes and the scheme."""
        return f"{super().extra_repr()}, {_described(self.quantization)}"


FakeQuantized = FakeQuantizedLinear | FakeQuantizedEmbedding
_FAKE: dict[type[nn.Module], Any] = {
    nn.Linear: FakeQuantizedLinear,
    nn.Embedding: FakeQuantizedEmbedding,
}
_PLAIN = {fake: plain for plain, fake in _FAKE.items()}
_OF_FAKE = ("quantization", "observer", "observed", "_activation")


def apply_quantization(network: nn.Module, quantization: Quantization | None) -> None:
    """Bring the network into this state, in place; None is no quantization.

    A module changes its class, as under `fully_shard`, and stays the same object: what holds it
    or has hooks on it (distillation, the first-token shortcut, DDP, an optimizer) notices nothing.

    Args:
        network: Any.
        quantization: Of linear layers and embeddings, by their names in ``network``.
    """
    wanted = {} if quantization is None else dict(quantization.modules)
    for name, module in network.named_modules():
        if name in wanted:
            _quantize(module, wanted.pop(name))
        elif isinstance(module, FakeQuantized):
            _become(module, _PLAIN[type(module)])
            for attribute in _OF_FAKE:
                vars(module).pop(attribute, None)
    assert not wanted, f"no such modules: {', '.join(wanted)}"


def quantization_of(network: nn.Module) -> Quantization | None:
    """What is fake-quantized in the network as it is, by present names."""
    modules = {n: m.quantization for n, m in fake_quantized_modules(network).items()}
    return Quantization(modules) if modules else None


def fake_quantized_modules(network: nn.Module) -> dict[str, FakeQuantized]:
    """Those that are, by name."""
    return {n: m for n, m in network.named_modules() if isinstance(m, FakeQuantized)}


@contextmanager
def without_fake_quantization(network: nn.Module) -> Iterator[None]:
    """Within, the network computes with its weights and activations as they are."""
    modules = list(fake_quantized_modules(network).values())
    for module in modules:
        _become(module, _PLAIN[type(module)])
    try:
        yield
    finally:
        for module in modules:
            _become(module, _FAKE[type(module)])


def quantized_weight(module: FakeQuantized) -> tuple[Tensor, Tensor]:
    """The integers and scales that the module computes with.

    Returns:
        int8 ``[rows, columns]`` in as many bits as the module's, and float32 scales
        ``[rows, groups]``; `lightning_app.functional.quantization.dequantize_weight` of them is
        what the forward pass multiplies with, bit for bit.
    """
    how = module.quantization
    return quantize_weight(module.weight, how.weight_bits, how.group_size)


def activation_parameters(how: ModuleQuantization) -> tuple[float, int] | None:
    """Scale and zero point (of signed int8) of a static scheme; None where there are none."""
    if how.activation_range is None:
        return None
    low, high = torch.tensor(how.activation_range, dtype=torch.float32)
    scale, zero_point = asymmetric_parameters(low, high)
    return float(scale), int(zero_point)


def _quantize(module: nn.Module, how: ModuleQuantization) -> None:
    if not isinstance(module, FakeQuantized):
        assert type(module) in _FAKE, f"{type(module).__name__} cannot be fake-quantized"
        _become(module, _FAKE[type(module)])
    elif module.quantization == how:
        return
    module.quantization = how  # type: ignore[assignment]  # mypy does not see the change of class
    if isinstance(module, FakeQuantizedLinear):
        module._activation = activation_parameters(how)


def _become(module: nn.Module, kind: type[nn.Module]) -> None:
    module.__class__ = kind


def _described(how: ModuleQuantization) -> str:
    groups = "" if how.group_size is None else f" in groups of {how.group_size}"
    return f"{how.scheme}, {how.weight_bits} bits{groups}"
