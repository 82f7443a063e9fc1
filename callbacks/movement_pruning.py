"""Prune the weights that training moves towards zero."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import AdamW, Optimizer

from callbacks.mask_pattern import Scope
from callbacks.sparsity_schedule import SparsitySchedule
from callbacks.weight_pruning import WeightPruning
from lightning_app.errors import InputError
from lightning_app.functional.masks import kept_bits, zero_pruned_
from lightning_app.functional.movement import (
    move_scores_,
    score_gradient,
    score_regularization_gradient,
    soft_movement_mask,
)
from modules.text_classifier import FUSED_DEVICES, TextClassifier

Kind = Literal["hard", "soft"]


class MovementPruning(WeightPruning):
    """Learns a score for each weight along with the weights (Sanh et al. 2020, "Movement Pruning",
    arXiv:2005.07683, sections 3 and 4).

    A weight's score falls when training moves the weight towards zero. By the paper better than
    magnitude at high sparsity, given tens of thousands of steps; on short runs it is worse. Scores
    of ``hard`` are the plain sums of section 3, of ``soft`` learned with Adam as in the paper's
    code, whose threshold needs their scale. Keeps a score for each pruned weight (and Adam's two
    averages), in memory and in checkpoints, and the value of masked weights, which wait to come
    back. When the final sparsity is reached the masks are fixed.

    Args:
        sparsity: Share of the original weights that are zero at the end, in (0, 1); for ``soft``
            it is what comes out, and is left out.
        kind: ``hard`` keeps the highest scores; ``soft`` those whose sigmoid is above
            ``threshold``, and lets ``regularization`` push scores down.
        score_learning_rate: For ``soft``: of the scores, 0.01 unless set; follows the schedule of
            the weights' learning rate. Of ``hard`` only the order of the scores counts.
        score_every_n_steps: Scores learn from the gradients of every so many optimizer steps; of
            each (1) in the paper, which costs passes over the pruned weights at each step.
        threshold: For ``soft``: on the sigmoid of the score, in (0, 1).
        regularization: For ``soft``: weight of the mean sigmoid in the loss.
        pattern: ``unstructured``, blocks such as ``4x1`` or ``32x32``, or ``2:4``.
        scope: ``global`` ranks all weights together, ``layer`` each weight matrix.
        include: Patterns on module names; by default the linear layers of the encoder.
        exclude: Patterns on module names to leave out.
        plan: YAML of `glint sensitivity` with a share for each weight; with ``sparsity`` its
            densities are all multiplied by one factor, to that share of zeros overall.
        schedule: When; scores are learned from the first step of the run.

    Example::

        --trainer.callbacks+=callbacks.MovementPruning --trainer.callbacks.sparsity=0.9
    """

    def __init__(
        self,
        sparsity: float | None = None,
        kind: Kind = "hard",
        score_learning_rate: float | None = None,
        score_every_n_steps: int = 20,
        threshold: float = 0.1,
        regularization: float = 0.0,
        pattern: str = "unstructured",
        scope: Scope = "layer",
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        plan: str | None = None,
        schedule: SparsitySchedule | None = None,
    ) -> None:
        soft = _check_kind(kind, sparsity, pattern, plan)
        # A soft threshold leaves the sparsity open: the parent only needs some number.
        super().__init__(
            0.5 if soft else sparsity, pattern, scope, include, exclude, plan, schedule
        )
        if score_learning_rate is not None and (score_learning_rate <= 0 or not soft):
            raise InputError(
                "Expected `score_learning_rate` to be above 0 and with `kind: soft`, got"
                f" {score_learning_rate} with {kind!r}."
            )
        if score_every_n_steps < 1:
            raise InputError(
                f"Expected `score_every_n_steps` to be at least 1, got {score_every_n_steps}."
            )
        if not 0 < threshold < 1:
            raise InputError(f"Expected `threshold` to be in (0, 1), got {threshold}.")
        if regularization < 0 or (regularization > 0 and not soft):
            raise InputError(
                "Expected `regularization` to be at least 0 and with `kind: soft`, got"
                f" {regularization} with {kind!r}."
            )
        self.kind = kind
        self.score_learning_rate = score_learning_rate or 1e-2
        self.score_every_n_steps = score_every_n_steps
        self.threshold = threshold
        self.regularization = regularization
        self._scores: dict[str, Tensor] = {}
        self._waiting: dict[str, Tensor] = {}
        self._optimizer: AdamW | None = None
        self._restored: dict[str, Any] = {}

    def course(self, step: int) -> dict[str, float | str]:
        """Sparsity by then; of ``soft``, the threshold that it follows from."""
        if self.kind == "hard":
            return super().course(step)
        return {"threshold": self._scheduled(step, self.threshold)}

    def state_dict(self) -> dict[str, Any]:
        """Masks, scores, their optimizer, and the values of masked weights."""
        state = super().state_dict()
        if not self.is_complete and self._scores:
            # After the last change of the masks none of this is needed again.
            state["scores"] = self._scores
            state["waiting"] = self._waiting
            if self._optimizer is not None:
                state["optimizer"] = self._optimizer.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with saved masks and scores."""
        super().load_state_dict(state_dict)
        self._restored = {
            k: state_dict[k] for k in ("scores", "waiting", "optimizer") if k in state_dict
        }

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the scores, or restore them."""
        super().on_fit_start(trainer, pl_module)
        if self.is_complete:
            return
        saved_scores = self._restored.get("scores", {})
        saved_waiting = self._restored.get("waiting", {})
        for name, weight in self._parameters.items():
            self._scores[name] = _like(weight, saved_scores.get(name))
            self._waiting[name] = _like(weight, saved_waiting.get(name))
        if self.kind == "soft":
            self._optimizer = AdamW(
                list(self._scores.values()),
                lr=self.score_learning_rate,
                weight_decay=0.0,
                fused=pl_module.device.type in FUSED_DEVICES,
            )
            if "optimizer" in self._restored:
                self._optimizer.load_state_dict(self._restored["optimizer"])
        self._restored = {}

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Move the scores by the whole gradient, also where weights are masked."""
        if not self.is_complete and trainer.global_step % self.score_every_n_steps == 0:
            rate = _rate_factor(optimizer)
            if self._optimizer is None:
                self._sum_scores(rate)
            else:
                self._learn_scores(self._optimizer, rate)
        super().on_before_optimizer_step(trainer, pl_module, optimizer)

    def _sum_scores(self, rate: float) -> None:
        for name, weight in self._parameters.items():
            if weight.grad is not None:
                # Of the two values of a weight, the network's and the waiting one, one is zero.
                for value in (weight, self._waiting[name]) if self.masks else (weight,):
                    move_scores_(self._scores[name], value, weight.grad, rate)

    def _learn_scores(self, optimizer: AdamW, rate: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.score_learning_rate * rate
        for name, weight in self._parameters.items():
            if weight.grad is not None:
                self._scores[name].grad = self._score_gradient(name, weight.grad)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _score_gradient(self, name: str, weight_gradient: Tensor) -> Tensor:
        gradient = score_gradient(self._parameters[name] + self._waiting[name], weight_gradient)
        if self.regularization:
            share = score_regularization_gradient(self._scores[name])
            gradient.add_(share, alpha=self.regularization / len(self._scores))
        return gradient

    def _next_masks(self, trainer: Trainer, model: TextClassifier, step: int) -> dict[str, Tensor]:
        masks = self._masks_of_scores(step)
        for name, mask in masks.items():
            weight, waiting = self._parameters[name], self._waiting[name]
            # Of the two one is zero: these sums and differences are exact.
            weight.add_(waiting)
            waiting.copy_(weight)
            zero_pruned_(weight, kept_bits(mask, weight.dtype))
            waiting.sub_(weight)
        if step >= self.steps.end:
            self._scores, self._waiting, self._optimizer = {}, {}, None
        return masks

    def _masks_of_scores(self, step: int) -> dict[str, Tensor]:
        if self.kind == "soft":
            threshold = self.steps.sparsity(step, self.threshold)
            return {n: soft_movement_mask(s, threshold) for n, s in self._scores.items()}
        return self.pattern.masks(self._scores, self._sparsity_at(step), self.scope)

    def _importance(
        self, trainer: Trainer, model: TextClassifier, step: int
    ) -> Mapping[str, Tensor]:
        return self._scores


def _like(weight: Tensor, saved: Tensor | None) -> Tensor:
    return torch.zeros_like(weight) if saved is None else saved.to(weight.device)


def _rate_factor(optimizer: Optimizer) -> float:
    group = optimizer.param_groups[0]
    return float(group["lr"] / group.get("initial_lr", group["lr"])) if group["lr"] else 0.0


def _check_kind(kind: str, sparsity: float | None, pattern: str, plan: str | None) -> bool:
    if kind not in ("hard", "soft"):
        raise InputError(f"Expected `kind` to be `hard` or `soft`, got {kind!r}.")
    if kind == "soft" and (sparsity is not None or plan is not None or pattern != "unstructured"):
        raise InputError(
            "Expected neither `sparsity`, `plan` nor `pattern` with `kind: soft`, whose sparsity"
            f" follows from `threshold`, got sparsity={sparsity}, plan={plan}, pattern={pattern!r};"
            " leave them out, or set `kind: hard`."
        )
    return kind == "soft"
