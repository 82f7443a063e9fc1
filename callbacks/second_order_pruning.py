"""Prune the weights whose removal raises the loss least, and let the others make up for it."""

from collections.abc import Mapping

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.nn import Parameter

from callbacks.calibration import calibration_batches, weight_gradients
from callbacks.mask_pattern import Scope
from callbacks.sparsity_schedule import SparsitySchedule
from callbacks.weight_pruning import WeightPruning
from lightning_app.errors import InputError
from lightning_app.functional.second_order import (
    accumulate_fisher_,
    diagonal_scores,
    fisher_blocks,
    inverse_fisher,
    second_order_scores,
    second_order_update,
)
from modules.structure import evaluation_mode
from modules.text_classifier import TextClassifier

GRADIENTS_AT_ONCE = 16
"""Gradients that are stacked before they go into the Fisher blocks: one product for all."""
TINY = 1e-12
"""Least dampening: of a weight without any gradient."""


class SecondOrderPruning(WeightPruning):
    """Optimal Brain Surgeon with a block-diagonal empirical Fisher matrix (Kurtic et al. 2022,
    "The Optimal BERT Surgeon", arXiv:2203.07259, section 3).

    By the paper the best of the three at high sparsity. By default AdamW's running mean of squared
    gradients stands for the matrix' diagonal (Li et al. 2025, "Fishers for Free?",
    arXiv:2507.18807): nothing more is computed, and scores were as good where it was measured. The
    paper's own way, with ``num_gradients: 128`` or more, runs that many backward passes over
    training rows at each change of the masks, as much as that many steps, keeps ``block_size``
    numbers for each weight while it does, and lets the other weights of a block make up for those
    that go: let it happen seldom (`schedule.every_n_steps`), or once (``shape: one_shot``).

    Args:
        sparsity: Share of the original weights that are zero at the end, in (0, 1).
        num_gradients: Gradients that the Fisher matrix is estimated from; 0 for the optimizer's
            squared gradients, which want some steps before the first change of the masks.
        block_size: Weights a block; memory grows with it.
        dampening: Added to the diagonal, as a share of its mean in each weight. The paper's is a
            constant, 1e-7, whose effect depends on the scale of the gradients.
        gradient_batch_size: Rows of one gradient.
        pattern: ``unstructured``, blocks such as ``4x1``, or ``2:4``.
        scope: ``global`` ranks all weights together, ``layer`` each weight matrix.
        include: Patterns on module names; by default the linear layers of the encoder.
        exclude: Patterns on module names to leave out.
        plan: YAML of `glint sensitivity` with a share for each weight; with ``sparsity`` its
            densities are all multiplied by one factor, to that share of zeros overall.
        schedule: When.
        seed: Of the choice of training rows.

    Example::

        --trainer.callbacks+=callbacks.SecondOrderPruning --trainer.callbacks.sparsity=0.9
    """

    def __init__(
        self,
        sparsity: float | None = None,
        num_gradients: int = 0,
        block_size: int = 32,
        dampening: float = 1e-2,
        gradient_batch_size: int = 4,
        pattern: str = "unstructured",
        scope: Scope = "global",
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        plan: str | None = None,
        schedule: SparsitySchedule | None = None,
        seed: int = 42,
    ) -> None:
        super().__init__(sparsity, pattern, scope, include, exclude, plan, schedule)
        for name, value, least in (
            ("num_gradients", num_gradients, 0),
            ("block_size", block_size, 1),
            ("gradient_batch_size", gradient_batch_size, 1),
        ):
            if value < least:
                raise InputError(f"Expected `{name}` to be at least {least}, got {value}.")
        if dampening <= 0:
            raise InputError(f"Expected `dampening` to be above 0, got {dampening}.")
        self.num_gradients = num_gradients
        self.block_size = block_size
        self.dampening = dampening
        self.gradient_batch_size = gradient_batch_size
        self.seed = seed
        self._inverses: dict[str, Tensor] = {}

    def _importance(
        self, trainer: Trainer, model: TextClassifier, step: int
    ) -> Mapping[str, Tensor]:
        if self.num_gradients == 0:
            squares = squared_gradients(trainer, self._parameters)
            if not squares:
                self._check_nothing_goes_yet(step)
                return self._parameters
            return {n: diagonal_scores(w, squares[n]) for n, w in self._parameters.items()}
        fishers, count = self._fishers(trainer, model, step)
        self._inverses = {}
        for name in list(fishers):
            kept = self.masks.get(name)
            fisher = fishers.pop(name)  # freed as soon as it is inverted
            mean_square = float(fisher.diagonal(dim1=-2, dim2=-1).mean()) / count
            dampening = max(self.dampening * mean_square, TINY)
            self._inverses[name] = inverse_fisher(fisher, count, dampening, kept)
        return {
            name: second_order_scores(weight, self._inverses[name])
            for name, weight in self._parameters.items()
        }

    def _check_nothing_goes_yet(self, step: int) -> None:
        wanted = self._sparsity_at(step)
        if wanted if isinstance(wanted, float) else any(wanted.values()):
            raise InputError(
                "Expected optimizer steps before the first weights go, whose squared gradients"
                f" `num_gradients: 0` reads, got none at step {step}; set a later"
                " `schedule.start`, or `num_gradients: 128`."
            )

    def _next_masks(self, trainer: Trainer, model: TextClassifier, step: int) -> dict[str, Tensor]:
        masks = super()._next_masks(trainer, model, step)
        for name, mask in masks.items():
            if name not in self._inverses:
                continue
            weight, inverse = self._parameters[name], self._inverses.pop(name)
            pruned_now = ~mask if name not in self.masks else self.masks[name] & ~mask
            weight.add_(second_order_update(weight, inverse, pruned_now)).mul_(mask)
        return masks

    def _fishers(
        self, trainer: Trainer, model: TextClassifier, step: int
    ) -> tuple[dict[str, Tensor], int]:
        fishers: dict[str, Tensor] = {}
        rows = self.num_gradients * self.gradient_batch_size
        data = trainer.datamodule  # type: ignore[attr-defined]
        batches = calibration_batches(data, model, rows, self.gradient_batch_size, self.seed + step)
        count, stacked = 0, []
        with evaluation_mode(model), torch.enable_grad():
            for batch in batches:
                stacked.append(weight_gradients(model, batch, self._parameters))
                count += 1
                if len(stacked) == GRADIENTS_AT_ONCE:
                    _accumulate(fishers, stacked, self.block_size)
                    stacked = []
        if stacked:
            _accumulate(fishers, stacked, self.block_size)
        return fishers, count


def squared_gradients(trainer: Trainer, parameters: Mapping[str, Parameter]) -> dict[str, Tensor]:
    """AdamW's running means, of each parameter's shape; none before its first step.

    Raises:
        InputError: If the optimizer keeps none.
    """
    states = [optimizer.state for optimizer in trainer.optimizers]
    found = {}
    for name, weight in parameters.items():
        state = next((state[weight] for state in states if weight in state), None)
        if state is None:
            return {}
        if "exp_avg_sq" not in state:
            raise InputError(
                "Expected an optimizer that keeps a mean of squared gradients, as AdamW, for"
                " `num_gradients: 0`, got another; set `num_gradients: 128`."
            )
        found[name] = state["exp_avg_sq"]
    return found


@torch.no_grad()
def _accumulate(
    fishers: dict[str, Tensor], stacked: list[dict[str, Tensor]], block_size: int
) -> None:
    for name in stacked[0]:
        gradients = torch.stack([gradient[name] for gradient in stacked])
        if name in fishers:
            accumulate_fisher_(fishers[name], gradients)
        else:
            fishers[name] = fisher_blocks(gradients, block_size)
