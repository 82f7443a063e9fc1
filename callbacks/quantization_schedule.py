"""When fake quantization begins, and when the ranges of activations are fixed."""

from dataclasses import dataclass

from lightning.pytorch import Trainer

from callbacks.run_length import UNITS, Unit, steps_per_unit, total_steps
from lightning_app.errors import InputError


@dataclass(frozen=True)
class QuantizationSchedule:
    """The course of quantization over a run.

    Args:
        start: When it begins, in ``unit``.
        freeze: When ranges are fixed, in ``unit``; None where there are none to observe.
        unit: Of both: ``fraction`` of the run, ``epochs`` or optimizer ``steps``.
    """

    start: float = 0.0
    freeze: float | None = None
    unit: Unit = "fraction"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InputError(f"Expected `unit` to be one of {', '.join(UNITS)}, got {self.unit!r}.")
        if self.start < 0:
            raise InputError(f"Expected `start` to be at least 0, got {self.start}.")
        if self.freeze is not None and self.freeze <= self.start:
            raise InputError(
                f"Expected `freeze` to be after `start`, got start={self.start},"
                f" freeze={self.freeze}; between them the ranges are observed."
            )

    def in_steps(self, trainer: Trainer) -> tuple[int, int]:
        """First optimizer step with quantization, and first with fixed ranges.

        Raises:
            InputError: If the run's length is unknown, or it ends before, or nothing is observed.
        """
        what = "`callbacks.QuantizationAwareTraining`"
        total = total_steps(trainer, what)
        per_unit = steps_per_unit(trainer, self.unit, what)
        start = round(self.start * per_unit)
        freeze = start if self.freeze is None else round(self.freeze * per_unit)
        if freeze >= total:
            name, value = ("start", self.start) if self.freeze is None else ("freeze", self.freeze)
            raise InputError(
                f"Expected training to go on after `{name}`, but {value} {self.unit} is step"
                f" {freeze} of {total}; set `{name}` to at most {(total - 1) / per_unit:.3g}."
            )
        if self.freeze is not None and freeze == start:
            raise InputError(
                "Expected at least one optimizer step between `start` and `freeze` to observe"
                f" ranges in, but {self.start} and {self.freeze} {self.unit} are both step {start}"
                f" of {total}; set `freeze` later."
            )
        return start, freeze
