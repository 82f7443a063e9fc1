"""The course of a fit, step by step, and what it will take."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightning_app.errors import InputError

RATE = "learning rate"
COMPRESSION = ("sparsity", "pruned, of the target", "threshold", "new operators", "rounding")
"""What has a goal that training must recover from."""
MIN_RECOVERY = 0.01
"""Least share of the run that must come after the goal is reached."""


@dataclass(frozen=True)
class Timeline:
    """What a fit will do.

    Args:
        steps: Optimizer steps of the whole run.
        epochs: Of the run; None where it is cut short by steps.
        course: By name, a value for each step from 0 to ``steps``.
        seconds_a_step: Median of a few measured optimizer steps; of the last that were run.
        measured_steps: How many.
        seconds_a_validation: Estimated from a few batches.
        validations: In the whole run.
        parameters: Of the network that is trained.
    """

    steps: int
    epochs: int | None
    course: Mapping[str, Sequence[float | str]]
    seconds_a_step: float
    measured_steps: int
    seconds_a_validation: float
    validations: int
    parameters: int

    @property
    def seconds(self) -> float:
        """Of the whole run, without its start."""
        return self.steps * self.seconds_a_step + self.validations * self.seconds_a_validation

    @property
    def reached_at(self) -> int:
        """The step from which on nothing is compressed any more; 0 where nothing is."""
        return max(
            (_last_change(self.course[n]) for n in COMPRESSION if n in self.course), default=0
        )

    def check(self) -> None:
        """Refuse a course that cannot end well.

        Raises:
            InputError: If the goal is reached where nothing is learned any more.
        """
        reached = self.reached_at
        if reached == 0:
            return
        if self.steps - reached < max(1, MIN_RECOVERY * self.steps):
            raise InputError(
                f"Expected steps of recovery after the compression is complete, which is at step"
                f" {reached} of {self.steps}; let its `schedule.end` (or `freeze`) be about"
                f" {0.66 * self.steps:.0f} steps, 0.66 of the run."
            )
        rates = [float(rate) for rate in self.course.get(RATE, ())]
        if rates and not any(rates[reached : self.steps]):
            raise InputError(
                f"Expected a learning rate above 0 after the compression is complete, at step"
                f" {reached} of {self.steps}, but it is 0 from there on; let the compression end"
                " earlier, or set `final_factor` of `callbacks.LearningRateSchedule`."
            )

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "seconds": self.seconds, "reached_at": self.reached_at}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Timeline":
        """From :meth:`as_plain`."""
        fields = cls.__dataclass_fields__
        return cls(**{name: plain[name] for name in fields})


def _last_change(values: Sequence[float | str]) -> int:
    return max((n for n in range(1, len(values)) if values[n] != values[n - 1]), default=0)
