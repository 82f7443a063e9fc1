"""Warm-up and decay of the learning rate, step by step."""

from collections.abc import Callable
from functools import partial

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch.optim.lr_scheduler import LambdaLR

from callbacks.run_length import steps_per_unit
from lightning_app.errors import InputError
from lightning_app.functional.learning_rate import SHAPES, Shape, learning_rate_factor


class LearningRateSchedule(Callback):
    """Schedules all parameter groups by one factor; the length of the run comes from the Trainer.

    The total counts optimizer steps, with accumulation and several devices taken into account.
    The schedule's position is saved with the checkpoint. For the shapes see
    `lightning_app.functional.learning_rate`.

    Args:
        shape: ``linear``, ``cosine``, ``polynomial``, ``constant``, ``inverse_square_root`` or
            ``trapezoidal``.
        warmup_fraction: Share of the run that the rate rises from 0, in [0, 1). A tenth makes
            fine-tuning on few rows stable (Mosbach et al. 2020, arXiv:2006.04884).
        warmup_steps: The same in optimizer steps, in place of the fraction.
        warmup_epochs: The same in epochs, in place of the fraction.
        power: Exponent of ``polynomial``.
        final_factor: Factor on the rate at the end, in [0, 1].
        decay_epochs: Of ``trapezoidal``: the last so many epochs the rate falls; 0 for none.

    Example::

        trainer:
          callbacks:
            - class_path: callbacks.LearningRateSchedule
              init_args: {shape: linear, warmup_fraction: 0.1}
    """

    def __init__(
        self,
        shape: Shape = "linear",
        warmup_fraction: float = 0.0,
        warmup_steps: int | None = None,
        power: float = 2.0,
        final_factor: float = 0.0,
        warmup_epochs: float | None = None,
        decay_epochs: float = 1.0,
    ) -> None:
        if shape not in SHAPES:
            raise InputError(f"Expected `shape` to be one of {', '.join(SHAPES)}, got {shape!r}.")
        if not 0 <= warmup_fraction < 1:
            raise InputError(f"Expected `warmup_fraction` to be in [0, 1), got {warmup_fraction}.")
        if warmup_steps is not None and (warmup_steps < 0 or warmup_fraction > 0):
            raise InputError(
                "Expected `warmup_steps` to be at least 0 and without `warmup_fraction`, got"
                f" warmup_steps={warmup_steps}, warmup_fraction={warmup_fraction}."
            )
        if warmup_epochs is not None and (
            warmup_epochs < 0 or warmup_fraction > 0 or warmup_steps is not None
        ):
            raise InputError(
                "Expected `warmup_epochs` to be at least 0 and without `warmup_fraction` and"
                f" `warmup_steps`, got warmup_epochs={warmup_epochs}."
            )
        if decay_epochs < 0:
            raise InputError(f"Expected `decay_epochs` to be at least 0, got {decay_epochs}.")
        if not 0 <= final_factor <= 1:
            raise InputError(f"Expected `final_factor` to be in [0, 1], got {final_factor}.")
        self.shape = shape
        self.warmup_fraction = warmup_fraction
        self.warmup_steps = warmup_steps
        self.power = power
        self.final_factor = final_factor
        self.warmup_epochs = warmup_epochs
        self.decay_epochs = decay_epochs
        self._rate: Callable[[int], float] | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach the schedule; its position is restored right after this hook."""
        if trainer.lr_scheduler_configs:
            raise InputError(
                "Expected one learning rate schedule, but the module or another callback brings"
                " one already; remove `callbacks.LearningRateSchedule` or the other."
            )
        total = trainer.estimated_stepping_batches
        if total == float("inf"):
            raise InputError(
                "Expected a run of known length for `callbacks.LearningRateSchedule`; set"
                " `trainer.max_steps`."
            )
        factor = partial(
            learning_rate_factor,
            total_steps=int(total),
            warmup_steps=self._warmup(int(total), trainer),
            shape=self.shape,
            power=self.power,
            final_factor=self.final_factor,
            decay_steps=self._decay(trainer),
        )
        scheduler = LambdaLR(trainer.optimizers[0], factor)
        self._rate = lambda step: float(scheduler.base_lrs[0]) * factor(step)
        trainer.strategy.lr_scheduler_configs.append(
            LRSchedulerConfig(scheduler, interval="step", frequency=1)
        )

    def course(self, step: int) -> dict[str, float]:
        """The learning rate by then, for `glint plan`; from `on_fit_start`."""
        assert self._rate is not None, "known when the fit has started"
        return {"learning rate": self._rate(step)}

    def _warmup(self, total_steps: int, trainer: Trainer) -> int:
        steps = self.warmup_steps
        if self.warmup_epochs is not None:
            steps = round(self.warmup_epochs * steps_per_unit(trainer, "epochs", "`warmup_epochs`"))
        if steps is None:
            return round(self.warmup_fraction * total_steps)
        if steps >= total_steps:
            raise InputError(
                f"Expected `warmup_steps` to be below the run's {total_steps} steps, got {steps}."
            )
        return steps

    def _decay(self, trainer: Trainer) -> int:
        if self.shape != "trapezoidal":
            return 0
        return round(self.decay_epochs * steps_per_unit(trainer, "epochs", "`decay_epochs`"))
