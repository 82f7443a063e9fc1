"""Measure what an affine needs to stand for a LayerNorm."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from modules.families import layer_parts
from modules.operators import LayerConstants, NormConstants
from modules.structure import evaluation_mode

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def norm_constants(
    network: "PreTrainedModel", batches: Iterable[Mapping[str, Tensor]]
) -> tuple[LayerConstants, ...]:
    """Constants with which affines come nearest to the LayerNorms, in the mean square.

    For each feature the line through what goes into the LayerNorm and what leaves it before
    ``weight`` and ``bias``, fitted to all tokens but padding. One mean and one deviation for all
    tokens, as in nn_pruning, will not do at once: in a pretrained network the deviation of few
    tokens is ten times that of the others. With all LayerNorms of MiniLM-L6-H384 replaced, the
    first token's last state on MRPC was off by 1700 times its own deviation so, and by 0.85 times
    with these lines; a quarter annealed, by 0.22.

    Args:
        network: Of a family in `modules.families.FAMILIES`.
        batches: What the network is called with, ``attention_mask`` ``[batch, seq]`` included.

    Returns:
        The constants of each layer's two norms.
    """
    layers = [[_Line(norm) for norm in parts.norms] for parts in layer_parts(network)]
    lines = [line for layer in layers for line in layer]
    with ExitStack() as hooks, evaluation_mode(network), torch.no_grad():
        for line in lines:
            hooks.callback(line.norm.register_forward_pre_hook(line.see).remove)
        for batch in batches:
            for line in lines:
                line.mask = batch["attention_mask"].bool()
            network(**batch)
    return tuple((first.constants(), second.constants()) for first, second in layers)


class _Line:
    """Least squares of a LayerNorm's output by its input, feature by feature."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self.norm = norm
        self.mask = torch.empty(0, dtype=torch.bool)
        self._count = 0
        self._sums: Tensor | float = 0.0

    def see(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Hook: add a batch's tokens ``[batch, seq, hidden]``; ``seq`` is 1 in a last layer of the
        first token alone."""
        # Sums over all tokens and differences of products; MPS has no float64.
        wide = torch.float32 if inputs[0].device.type == "mps" else torch.float64
        x = inputs[0][self.mask[:, : inputs[0].shape[1]]].to(wide)
        z = nn.functional.layer_norm(x, self.norm.normalized_shape, eps=self.norm.eps)
        self._count += len(x)
        self._sums = self._sums + torch.stack([x.sum(0), z.sum(0), (x * x).sum(0), (x * z).sum(0)])

    def constants(self) -> NormConstants:
        """Slope and intercept of the line."""
        assert isinstance(self._sums, Tensor), "no batch was seen"
        x, z, xx, xz = self._sums / self._count
        # A feature that never changes has no slope.
        gain = (xz - x * z) / (xx - x * x).clamp_min(self.norm.eps)
        return NormConstants(tuple(gain.tolist()), tuple((z - gain * x).tolist()))
