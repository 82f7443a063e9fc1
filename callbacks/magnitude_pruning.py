"""Prune the smallest weights."""

from collections.abc import Mapping
from typing import Literal

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from callbacks.mask_pattern import Scope
from callbacks.sparsity_schedule import SparsitySchedule
from callbacks.weight_pruning import WeightPruning
from lightning_app.errors import InputError
from lightning_app.functional.importance import magnitude_importance, random_importance
from modules.text_classifier import TextClassifier

Criterion = Literal["l1", "l2", "random"]
CRITERIA = ("l1", "l2", "random")


class MagnitudePruning(WeightPruning):
    """Sets the smallest weights to zero, on a schedule, for good (Han et al. 2015,
    arXiv:1506.02626, section 3; gradually: Zhu & Gupta 2017, arXiv:1710.01878).

    Costs next to nothing and is as good as any up to about half the weights; beyond, see
    `MovementPruning` and `SecondOrderPruning`. Zeros make the file compress, and speed up only
    runtimes that know sparse products.

    Args:
        sparsity: Share of the original weights that are zero at the end, in (0, 1); it never
            compounds. Given by the pattern for n:m.
        criterion: ``l1`` (absolute value), ``l2`` (square: the same order, but for blocks), or
            ``random`` (the baseline that any other has to beat).
        pattern: ``unstructured``, blocks of weights such as ``4x1`` or ``32x32``, or ``2:4`` (two
            of four neighbouring inputs are kept).
        scope: ``layer`` prunes each weight matrix by that share, ``global`` all together.
        include: Patterns on module names; by default the linear layers of the encoder.
        exclude: Patterns on module names to leave out.
        plan: YAML of `glint sensitivity` with a share for each weight; with ``sparsity`` its
            densities are all multiplied by one factor, to that share of zeros overall.
        schedule: When; by default cubic from the first step to two thirds of the run.
        seed: Of ``random``.

    Example::

        --trainer.callbacks+=callbacks.MagnitudePruning --trainer.callbacks.sparsity=0.5
    """

    def __init__(
        self,
        sparsity: float | None = None,
        criterion: Criterion = "l1",
        pattern: str = "unstructured",
        scope: Scope = "layer",
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        plan: str | None = None,
        schedule: SparsitySchedule | None = None,
        seed: int = 42,
    ) -> None:
        if criterion not in CRITERIA:
            raise InputError(
                f"Expected `criterion` to be one of {', '.join(CRITERIA)}, got {criterion!r}."
            )
        super().__init__(sparsity, pattern, scope, include, exclude, plan, schedule)
        self.criterion = criterion
        self.seed = seed

    def _importance(
        self, trainer: Trainer, model: TextClassifier, step: int
    ) -> Mapping[str, Tensor]:
        if self.criterion == "random":
            generator = torch.Generator().manual_seed(self.seed + step)
            return {
                name: random_importance(weight, generator)
                for name, weight in self._parameters.items()
            }
        order = 1 if self.criterion == "l1" else 2
        return {n: magnitude_importance(w, order) for n, w in self._parameters.items()}
