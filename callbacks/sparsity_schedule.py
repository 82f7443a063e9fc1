"""When weights are pruned, and how many of them by then."""

from dataclasses import dataclass
from typing import Literal

from lightning.pytorch import Trainer

from callbacks.run_length import UNITS, Unit, steps_per_unit, total_steps
from lightning_app.errors import InputError
from lightning_app.functional.sparsity import SHAPES, scheduled_sparsity

Shape = Literal["one_shot", "linear", "cubic", "exponential"]


@dataclass(frozen=True)
class SparsitySchedule:
    """The course of the sparsity over a run; what comes after ``end`` is recovery.

    Args:
        shape: ``one_shot`` (all at ``start``), ``linear``, ``cubic`` (fast while there is much to
            spare, Zhu & Gupta 2017, arXiv:1710.01878) or ``exponential``.
        start: When pruning begins, in ``unit``.
        end: When the final sparsity is reached; by default two thirds into the run.
        unit: Of ``start`` and ``end``: ``fraction`` of the run, ``epochs`` or optimizer ``steps``.
        every_n_steps: Optimizer steps between two changes of the masks.
        initial_sparsity: Sparsity at ``start``, in [0, 1).
    """

    shape: Shape = "cubic"
    start: float = 0.0
    end: float | None = None
    unit: Unit = "fraction"
    every_n_steps: int = 100
    initial_sparsity: float = 0.0

    def __post_init__(self) -> None:
        _one_of("schedule.shape", self.shape, SHAPES)
        _one_of("schedule.unit", self.unit, UNITS)
        if self.start < 0:
            raise InputError(f"Expected `schedule.start` to be at least 0, got {self.start}.")
        if self.end is None and self.unit != "fraction" and self.shape != "one_shot":
            raise InputError(
                f"Expected `schedule.end` with `schedule.unit: {self.unit}`, got None; set it, or"
                " leave the unit at `fraction`."
            )
        if self.end is not None and self.end < self.start:
            raise InputError(
                "Expected `schedule.end` to be at least `schedule.start`, got"
                f" start={self.start}, end={self.end}; did you mean start={self.end},"
                f" end={self.start}?"
            )
        if self.every_n_steps < 1:
            raise InputError(
                f"Expected `schedule.every_n_steps` to be at least 1, got {self.every_n_steps}."
            )
        if not 0 <= self.initial_sparsity < 1:
            raise InputError(
                f"Expected `schedule.initial_sparsity` to be in [0, 1), got"
                f" {self.initial_sparsity}."
            )

    def in_steps(self, trainer: Trainer) -> "StepSchedule":
        """The schedule of a run, in optimizer steps.

        Raises:
            InputError: If the run's length is unknown, or it ends before the schedule does.
        """
        what = "a pruning schedule"
        total = total_steps(trainer, what)
        end = self._last()
        per_unit = steps_per_unit(trainer, self.unit, what)
        steps = StepSchedule(self, round(self.start * per_unit), round(end * per_unit))
        if steps.end >= total:
            fits = f"{(total - 1) / per_unit:.3g}"
            raise InputError(
                "Expected the final sparsity to be reached before training ends, but"
                f" `schedule.end`={end} {self.unit} is step {steps.end} of {total}; set"
                f" `schedule.end` to at most {fits}, less to leave steps for recovery."
            )
        return steps

    def _last(self) -> float:
        if self.shape == "one_shot":
            return self.start
        return max(2 / 3, self.start) if self.end is None else self.end


@dataclass(frozen=True)
class StepSchedule:
    """A :class:`SparsitySchedule` in the optimizer steps of one run.

    Args:
        schedule: The shape, the frequency and the initial sparsity.
        start: First step before which weights are pruned.
        end: Step before which the final sparsity is reached.
    """

    schedule: SparsitySchedule
    start: int
    end: int

    def next_due(self, step: int) -> int:
        """The first step from ``step`` on before which the masks change."""
        if step >= self.end:
            return step
        every = self.schedule.every_n_steps
        behind = max(step - self.start, 0)
        return min(self.start + -(-behind // every) * every, self.end)

    def sparsity(self, step: int, final: float) -> float:
        """Share of zeros from this optimizer step on."""
        if step >= self.end:
            return final
        progress = (step - self.start) / (self.end - self.start)
        # A final sparsity below the initial one would make weights come back.
        initial = min(self.schedule.initial_sparsity, final)
        return scheduled_sparsity(self.schedule.shape, progress, final, initial)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"Expected `{name}` to be one of {', '.join(known)}, got {value!r}.")
