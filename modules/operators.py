"""Cheaper operators in the encoder layers, annealed in: ReLU for GELU, an affine for LayerNorm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from modules.families import LayerParts, layer_parts, layout_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

RELU = "relu"


@dataclass(frozen=True)
class NormConstants:
    """What an :class:`AffineNorm` puts in place of a LayerNorm's statistics.

    Args:
        gain: Factor on each feature, ``[hidden]``; in place of one over the standard deviation.
        offset: Added to each feature, ``[hidden]``; in place of minus mean over deviation.
    """

    gain: tuple[float, ...]
    offset: tuple[float, ...]


LayerConstants = tuple[NormConstants, NormConstants]
"""Of the norm behind attention and of the norm behind the FFN."""


@dataclass(frozen=True)
class Operators:
    """Where the encoder layers' operators are on their way from those that the configuration names.

    Args:
        relu: Share of ReLU in the FFN's activation, in [0, 1]; None for the configuration's alone.
        affine_norm: Share of the affine in the LayerNorms, in [0, 1]; None for LayerNorms.
        constants: Of each layer's affines; None before they are measured.
    """

    relu: float | None = None
    affine_norm: float | None = None
    constants: tuple[LayerConstants, ...] | None = None

    def of_layers(self, layers: Sequence[int]) -> Self:
        """What is left when these layers are."""
        if self.constants is None:
            return self
        return replace(self, constants=tuple(self.constants[layer] for layer in layers))

    def as_plain(self) -> dict[str, Any]:
        """Plain values, safe in a ``weights_only`` checkpoint."""
        plain: dict[str, Any] = {"relu": self.relu, "affine_norm": self.affine_norm}
        if self.constants is not None:
            plain["constants"] = [
                [{"gain": list(norm.gain), "offset": list(norm.offset)} for norm in layer]
                for layer in self.constants
            ]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """From :meth:`as_plain`."""
        operators = cls(plain["relu"], plain["affine_norm"])
        if "constants" not in plain:
            return operators
        layers = [
            [NormConstants(tuple(norm["gain"]), tuple(norm["offset"])) for norm in layer]
            for layer in plain["constants"]
        ]
        return replace(operators, constants=tuple((first, second) for first, second in layers))


class AnnealedActivation(nn.Module):
    """``(1 - share) * old + share * new``, element by element.

    Lagunas et al. 2021, "Block Pruning For Faster Transformers" (arXiv:2109.04838), and its
    library nn_pruning go from GELU to ReLU so.

    Args:
        old: What it is at ``share`` 0, exactly.
        new: What it is at ``share`` 1, exactly.
    """

    def __init__(self, old: nn.Module, new: nn.Module) -> None:
        super().__init__()
        self.old, self.new = old, new
        self.share = 0.0

    def forward(self, hidden: Tensor) -> Tensor:
        """From ``[..., intermediate]`` to the same."""
        if self.share == 0:
            return self.old(hidden)  # type: ignore[no-any-return]
        return torch.lerp(self.old(hidden), self.new(hidden), self.share)


class AffineNorm(nn.LayerNorm):
    """A LayerNorm that becomes an affine without statistics: the NoNorm of Sun et al. 2020,
    "MobileBERT" (arXiv:2004.02984, section 3.3).

    It is ``(1 - share) * LayerNorm(hidden) + share * (weight * (gain * hidden + offset) + bias)``.
    ``weight`` and ``bias`` are the LayerNorm's, throughout: the same names, and the same parameters
    for the optimizer. The constants stand for the statistics that are gone
    (`modules.norm_constants`; nn_pruning mixes the statistics with their running means, one for
    all tokens and features). They are neither folded into the parameters, which would jump under
    the optimizer's averages, nor buffers, which averaging callbacks average and DDP sends around.

    Args:
        norm: The LayerNorm to replace; this one takes its parameters.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__(norm.normalized_shape, norm.eps, device="meta")
        self.weight, self.bias = norm.weight, norm.bias
        self.train(norm.training)
        self.share = 0.0
        self._constants: NormConstants | None = None
        self._gain = torch.ones_like(norm.weight, requires_grad=False)
        self._offset = torch.zeros_like(norm.weight, requires_grad=False)

    def set_constants(self, constants: NormConstants) -> None:
        """Take measured constants in place of ``gain`` 1 and ``offset`` 0."""
        if constants is not self._constants:  # called at each step, and making tensors takes time
            self._constants = constants
            self._gain = self._gain.new_tensor(constants.gain)
            self._offset = self._offset.new_tensor(constants.offset)

    def forward(self, hidden: Tensor) -> Tensor:
        """From ``[..., hidden]`` to the same."""
        if self.share == 0:
            return super().forward(hidden)
        # Grouped so that a runtime that folds constants is left with one multiply-add.
        affine = hidden * (self.weight * self._gain) + (self.weight * self._offset + self.bias)
        if self.share == 1:
            return affine
        normal = super().forward(hidden)
        return torch.lerp(normal, affine.to(normal.dtype), self.share)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._gain, self._offset = fn(self._gain), fn(self._offset)
        return self


def apply_operators(network: "PreTrainedModel", operators: Operators) -> None:
    """Bring the operators of the encoder layers into this state, in place.

    Names in the state dict and parameters stay. Where LayerNorms are replaced, hooks on them are
    lost: set up the first-token shortcut anew.

    Args:
        network: Of a family in `modules.families.FAMILIES`.
        operators: Those at ``relu`` 1 become plain ReLU, in the configuration too.
    """
    layers = layer_parts(network)
    if operators.relu is not None:
        for parts in layers:
            _anneal_activation(parts, operators.relu)
        if operators.relu == 1:
            setattr(network.config, layout_of(network).activation_key, RELU)
    if operators.affine_norm is not None:
        constants = operators.constants or (None,) * len(layers)
        for parts, layer in zip(layers, constants, strict=True):
            _anneal_norms(parts, operators.affine_norm, layer)


def _anneal_activation(parts: LayerParts, share: float) -> None:
    from transformers.activations import ACT2FN

    if share == 1:
        parts.set_activation(ACT2FN[RELU])
        return
    activation = parts.activation
    if not isinstance(activation, AnnealedActivation):
        activation = AnnealedActivation(activation, ACT2FN[RELU]).train(activation.training)
        parts.set_activation(activation)
    activation.share = share


def _anneal_norms(parts: LayerParts, share: float, constants: LayerConstants | None) -> None:
    norms = [n if isinstance(n, AffineNorm) else AffineNorm(n) for n in parts.norms]
    parts.set_norms(*norms)
    for position, norm in enumerate(norms):
        norm.share = share
        if constants is not None:
            norm.set_constants(constants[position])
