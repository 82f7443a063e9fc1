"""The shape that zeros take: anywhere, in blocks, or n of m."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lightning_app.errors import InputError
from lightning_app.functional.masks import (
    block_mask,
    global_block_masks,
    global_threshold_masks,
    n_m_mask,
    threshold_mask,
)

Scope = Literal["layer", "global"]


@dataclass(frozen=True)
class MaskPattern:
    """Where zeros may lie, read from ``unstructured``, ``4x1``, ``32x32``, ``2:4``.

    Args:
        block: Rows and columns of the blocks that are pruned as a whole.
        n_of_m: Of each ``m`` weights in a row (inputs of one output), so many are kept.
    """

    block: tuple[int, int] | None = None
    n_of_m: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> "MaskPattern":
        """Read a pattern.

        Raises:
            InputError: If it is none.
        """
        if text == "unstructured":
            return cls()
        if match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text):
            return cls(block=(int(match[1]), int(match[2])))
        if (match := re.fullmatch(r"([1-9]\d*):([1-9]\d*)", text)) and int(match[1]) < int(
            match[2]
        ):
            return cls(n_of_m=(int(match[1]), int(match[2])))
        raise InputError(
            "Expected `pattern` to be `unstructured`, a block such as `4x1` or `32x32`, or n:m with"
            f" n below m such as `2:4`, got {text!r}."
        )

    @property
    def sparsity(self) -> float | None:
        """The sparsity that the pattern implies; None if it leaves it open."""
        return None if self.n_of_m is None else 1 - self.n_of_m[0] / self.n_of_m[1]

    def check_shape(self, name: str, weight: Tensor) -> None:
        """Refuse a weight ``[outputs, inputs]`` that the pattern does not divide."""
        rows, columns = weight.shape
        if self.n_of_m is not None and columns % self.n_of_m[1]:
            fits = [m for m in (2, 4, 8, 16) if columns % m == 0]
            raise InputError(
                f"Expected m of `pattern` to divide the {columns} inputs of {name}, got"
                f" {self.n_of_m[0]}:{self.n_of_m[1]}; of 2, 4, 8 and 16, {fits or 'none'} fit."
            )
        if self.block is not None and (rows % self.block[0] or columns % self.block[1]):
            raise InputError(
                f"Expected the block of `pattern` to divide the {rows} x {columns} of {name}, got"
                f" {self.block[0]}x{self.block[1]}; choose another, or `exclude` that module."
            )

    def masks(
        self, scores: Mapping[str, Tensor], sparsity: float | Mapping[str, float], scope: Scope
    ) -> dict[str, Tensor]:
        """Boolean masks, True for the weights that are kept.

        Args:
            scores: Importance ``[outputs, inputs]`` by name; ``-inf`` where a weight is pruned
                already, which then stays so.
            sparsity: Share of zeros, one for all or by name.
            scope: ``layer`` for that share in each weight, ``global`` in all together.
        """
        if self.n_of_m is not None:
            return self._n_of_m_masks(scores, sparsity)
        if scope == "global" and isinstance(sparsity, float):
            tensors = list(scores.values())
            masks = (
                global_threshold_masks(tensors, sparsity)
                if self.block is None
                else global_block_masks(tensors, sparsity, self.block)
            )
            return dict(zip(scores, masks, strict=True))
        return {
            name: self._mask(tensor, share_of(sparsity, name)) for name, tensor in scores.items()
        }

    def _mask(self, scores: Tensor, sparsity: float) -> Tensor:
        if self.block is None:
            return threshold_mask(scores, sparsity)
        return block_mask(scores, sparsity, self.block)

    def _n_of_m_masks(
        self, scores: Mapping[str, Tensor], sparsity: float | Mapping[str, float]
    ) -> dict[str, Tensor]:
        assert self.n_of_m is not None
        assert self.sparsity is not None
        masks = {}
        for name, tensor in scores.items():
            final = n_m_mask(tensor, *self.n_of_m)
            # On the way there, only weights that the pattern prunes at the end.
            order = torch.where(final, torch.full_like(tensor, float("inf")), tensor)
            share = min(share_of(sparsity, name), self.sparsity)
            masks[name] = final if share == self.sparsity else threshold_mask(order, share)
        return masks


def share_of(sparsity: float | Mapping[str, float], name: str) -> float:
    """The share of one weight."""
    return sparsity if isinstance(sparsity, float | int) else sparsity[name]
