"""How the weight of a loss term changes over a run."""

from dataclasses import dataclass

from lightning.pytorch import Trainer

from callbacks.run_length import UNITS, Unit, steps_per_unit
from lightning_app.errors import InputError


@dataclass(frozen=True)
class WeightSchedule:
    """A factor on a term's weight: ``initial`` until ``start``, ``final`` from ``end`` on, and a
    straight line between.

    Args:
        initial: Factor before ``start``, at least 0.
        final: Factor after ``end``, at least 0.
        start: When it begins to change, in ``unit``.
        end: When it has its final value, in ``unit``; as ``start`` for a step.
        unit: ``fraction`` of the run, ``epochs`` or optimizer ``steps``.

    Example::

        hidden_states: {initial: 1.0, final: 0.0, start: 0.5, end: 0.5}
    """

    initial: float = 1.0
    final: float = 1.0
    start: float = 0.0
    end: float = 1.0
    unit: Unit = "fraction"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InputError(f"Expected `unit` to be one of {', '.join(UNITS)}, got {self.unit!r}.")
        if min(self.initial, self.final) < 0:
            raise InputError(
                "Expected `initial` and `final` to be at least 0, got"
                f" initial={self.initial}, final={self.final}."
            )
        if not 0 <= self.start <= self.end:
            raise InputError(
                f"Expected 0 <= `start` <= `end`, got start={self.start}, end={self.end}."
            )

    def in_steps(self, trainer: Trainer) -> "WeightSchedule":
        """The same schedule in the optimizer steps of a run."""
        per_unit = steps_per_unit(trainer, self.unit, "the schedule of a weight")
        start, end = round(self.start * per_unit), round(self.end * per_unit)
        return WeightSchedule(self.initial, self.final, start, end, "steps")

    def factor(self, step: int) -> float:
        """The factor at a point of the run, which is counted in the schedule's own unit."""
        if step < self.start:
            return self.initial
        if step >= self.end:
            return self.final
        progress = (step - self.start) / (self.end - self.start)
        return self.initial + progress * (self.final - self.initial)
