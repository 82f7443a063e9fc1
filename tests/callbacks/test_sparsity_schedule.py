from typing import Any
from unittest.mock import Mock

import pytest

from callbacks.sparsity_schedule import SparsitySchedule, StepSchedule
from lightning_app.errors import InputError


class Run:
    """What a schedule asks of a Trainer: 3 epochs of 6 steps, the last of one batch."""

    estimated_stepping_batches: float = 18
    num_training_batches = 11
    accumulate_grad_batches = 2
    fit_loop: Any = Mock()


def in_steps(**options: Any) -> StepSchedule:
    run: Any = Run()
    return SparsitySchedule(**options).in_steps(run)


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        ({}, 0, 12),
        ({"start": 0.5}, 9, 12),
        ({"start": 1 / 3, "end": 0.5}, 6, 9),
        ({"start": 0.5, "end": 2, "unit": "epochs"}, 3, 12),
        ({"start": 4, "end": 11, "unit": "steps"}, 4, 11),
        ({"shape": "one_shot", "start": 0.25}, 4, 4),
        ({"shape": "one_shot", "start": 5, "unit": "steps"}, 5, 5),
    ],
)
def test_units(options: dict[str, Any], start: int, end: int) -> None:
    steps = in_steps(**options)
    assert (steps.start, steps.end) == (start, end)


def test_masks_change_every_n_steps_and_at_the_end() -> None:
    steps = in_steps(start=2, end=9, unit="steps", every_n_steps=3)
    assert [steps.next_due(step) for step in range(12)] == [2, 2, 2, 5, 5, 5, 8, 8, 8, 9, 10, 11]


def test_sparsity_by_hand() -> None:
    steps = in_steps(shape="cubic", start=0, end=10, unit="steps")
    assert steps.sparsity(0, 0.8) == 0.0
    assert steps.sparsity(5, 0.8) == pytest.approx(0.7)  # 0.8 (1 - 0.5^3)
    assert steps.sparsity(10, 0.8) == 0.8
    assert steps.sparsity(15, 0.8) == 0.8
    linear = in_steps(shape="linear", start=0, end=10, unit="steps", initial_sparsity=0.2)
    assert linear.sparsity(5, 0.8) == pytest.approx(0.5)
    assert linear.sparsity(5, 0.1) == pytest.approx(0.1)


def test_a_target_after_the_end_of_training_is_refused_with_one_that_fits() -> None:
    with pytest.raises(InputError, match=r"step 18 of 18; set `schedule.end` to at most 2.83"):
        in_steps(end=3, unit="epochs")
    with pytest.raises(InputError, match=r"`schedule.end`=1.0 fraction is step 18 of 18"):
        in_steps(end=1.0)


def test_a_run_without_end_is_refused() -> None:
    run: Any = Run()
    run.estimated_stepping_batches = float("inf")
    with pytest.raises(InputError, match=r"set `trainer.max_steps`"):
        SparsitySchedule().in_steps(run)
