"""Masks on weights that survive: the part that all mask-based pruning callbacks share."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from callbacks.compression import Compression
from callbacks.sparsity_schedule import SparsitySchedule, StepSchedule
from lightning_app.errors import InputError
from lightning_app.functional.masks import kept_bits, mask_churn, sparsity_of, zero_pruned_
from modules.text_classifier import TextClassifier
from modules.weight_averages import averaged_models


class WeightMasking(Compression):
    """Keeps masked weights at zero, changes the masks on a schedule, and saves them.

    Masks are boolean tensors (True is kept) in the callback's state; names in the model's state
    dict never change. They are applied after each optimizer step, and to the averaged weights of
    Lightning's `WeightAveraging` and `StochasticWeightAveraging`. Masks change before an optimizer
    step, from quantities that all processes share, so they are equal on all.

    Subclasses say which parameters have masks and what the next masks are.

    Args:
        schedule: When masks change, and the sparsity by then.
    """

    def __init__(self, schedule: SparsitySchedule) -> None:
        self.schedule = schedule
        self.masks: dict[str, Tensor] = {}
        self.churn = 0.0
        self._is_complete = False
        self._metrics: dict[str, float] = {}
        self._kept_bits: dict[str, Tensor] = {}
        self._steps: StepSchedule | None = None
        self._changed_before_step = -1
        self._parameters: dict[str, Parameter] = {}

    @abstractmethod
    def _find_parameters(self, model: TextClassifier) -> dict[str, Parameter]:
        """The parameters that get masks, by their name in the module."""

    @abstractmethod
    def _next_masks(self, trainer: Trainer, model: TextClassifier, step: int) -> dict[str, Tensor]:
        """The masks from this optimizer step on; may also change the weights that stay."""

    @property
    def is_complete(self) -> bool:
        """Whether the final sparsity is reached."""
        return self._is_complete

    @property
    def steps(self) -> StepSchedule:
        """The schedule in this run's optimizer steps."""
        assert self._steps is not None, "known when the fit has started"
        return self._steps

    def metrics(self) -> dict[str, float]:
        """Sparsity of what is pruned, overall and by weight, and the last change's churn."""
        return self._metrics

    def course(self, step: int) -> dict[str, float | str]:
        """How much of the target is reached by then, from 0 to 1."""
        return {"pruned, of the target": self._scheduled(step, 1.0)}

    def _scheduled(self, step: int, final: float) -> float:
        return 0.0 if step < self.steps.start else self.steps.sparsity(step, final)

    def state_dict(self) -> dict[str, Any]:
        """Masks, and how far the schedule is."""
        return {
            "masks": self.masks,
            "churn": self.churn,
            "is_complete": self._is_complete,
            "changed_before_step": self._changed_before_step,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the saved masks."""
        self.masks = dict(state_dict["masks"])
        self.churn = state_dict["churn"]
        self._is_complete = state_dict["is_complete"]
        self._changed_before_step = state_dict["changed_before_step"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse parameters that are cut among processes."""
        if stage == "fit":
            self.refuse_shards(trainer, "ranks and zeroes the entries of whole weights")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pair masks with parameters, and hook the optimizer."""
        model = self.classifier(pl_module)
        self._steps = self.schedule.in_steps(trainer)
        self._parameters = self._find_parameters(model)
        self._check_names()
        device = pl_module.device
        self.masks = {name: mask.to(device) for name, mask in self.masks.items()}
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(self._after_optimizer_step)
        self._follow_masks(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Change the masks if that is due before the coming optimizer step."""
        step = trainer.global_step
        if (
            self._is_complete
            or step == self._changed_before_step
            or self.steps.next_due(step) != step
        ):
            return
        assert isinstance(pl_module, TextClassifier)
        with torch.no_grad():
            masks = self._next_masks(trainer, pl_module, step)
        self.churn = _churn(self.masks, masks)
        before, self.masks = self.masks, masks
        self._changed_before_step = step
        self._is_complete = step >= self.steps.end
        self._follow_masks(trainer)
        self._bring_back(before, trainer)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Keep dead weights out of the norm by which gradients are clipped."""
        if trainer.gradient_clip_val:
            self._mask_gradients()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Averaging callbacks have written other weights into the model."""
        self._apply(self._parameters)

    def _check_names(self) -> None:
        if self.masks and set(self.masks) != set(self._parameters):
            differ = sorted(set(self.masks) ^ set(self._parameters))
            raise InputError(
                f"Expected the masks in the checkpoint to be those of `callbacks."
                f"{type(self).__name__}` as it is configured, but they differ in"
                f" {', '.join(differ[:3])}; resume with the callback as it was."
            )

    def _after_optimizer_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._apply(self._parameters)

    def _mask_gradients(self) -> None:
        for name, bits in self._kept_bits.items():
            gradient = self._parameters[name].grad
            if gradient is not None:
                zero_pruned_(gradient, bits)

    @torch.no_grad()
    def _apply(self, parameters: Mapping[str, Parameter]) -> None:
        for name, bits in self._kept_bits.items():
            zero_pruned_(parameters[name], bits)

    def _follow_masks(self, trainer: Trainer) -> None:
        """What hangs on the masks, which change seldom, and is read at each step."""
        dtypes = {name: parameter.dtype for name, parameter in self._parameters.items()}
        self._kept_bits = {name: kept_bits(m, dtypes[name]) for name, m in self.masks.items()}
        self._metrics = _metrics(self.masks, self.churn)
        self._apply(self._parameters)
        for averaged in averaged_models(trainer):
            parameters = dict(averaged.named_parameters())
            if any(parameters[n].shape != p.shape for n, p in self._parameters.items()):
                raise InputError(
                    "Expected weight averaging to come after the callbacks that change structure;"
                    " list `callbacks.StructuredPruning` before it."
                )
            self._apply(parameters)

    @torch.no_grad()
    def _bring_back(self, before: Mapping[str, Tensor], trainer: Trainer) -> None:
        """An average of the zeros that a weight had would leave it pruned: it starts anew."""
        for averaged in averaged_models(trainer) if before else ():
            parameters = dict(averaged.named_parameters())
            for name, weight in self._parameters.items():
                back = self.masks[name] & ~before[name]
                parameters[name].copy_(torch.where(back, weight, parameters[name]))


def _churn(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> float:
    if not old:
        return sparsity_of(list(new.values()))
    return mask_churn([old[name] for name in new], list(new.values()))


def _metrics(masks: Mapping[str, Tensor], churn: float) -> dict[str, float]:
    if not masks:
        return {}
    by_weight = {f"sparsity/{_short(name)}": sparsity_of([mask]) for name, mask in masks.items()}
    return {"sparsity": sparsity_of(list(masks.values())), "mask_churn": churn, **by_weight}


def _short(name: str) -> str:
    """`network.bert.encoder.layer.0.output.dense.weight` -> `layer.0.output.dense`."""
    name = name.removesuffix(".weight")
    place = name.find("layer.")
    return name[place:] if place >= 0 else name
