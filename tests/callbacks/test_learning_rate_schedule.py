from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import LearningRateSchedule
from lightning_app.errors import InputError
from lightning_app.functional.learning_rate import learning_rate_factor
from modules import TextClassifier
from tests.tiny_fit import fit


class StepRates(Callback):
    """The rates of all groups with which each optimizer step is made."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self.rates.append([group["lr"] for group in optimizer.param_groups])


# 6 batches an epoch: 12 steps in 2 epochs, 6 where two batches make a step, and 2 x 2 where four
# do, as the last step of an epoch takes what is left.
@pytest.mark.parametrize(("accumulated", "num_steps"), [(1, 12), (2, 6), (4, 4)])
@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_each_step_is_made_with_the_rate_of_the_formula(
    tiny_model: str, reviews: Path, shape: Any, accumulated: int, num_steps: int
) -> None:
    seen = StepRates()
    schedule = LearningRateSchedule(shape, warmup_fraction=0.25, final_factor=0.1)
    options: dict[str, Any] = {"max_epochs": 2, "accumulate_grad_batches": accumulated}
    trainer = fit(tiny_model, reviews, schedule, seen, **options)
    expected = [
        1e-3
        * learning_rate_factor(
            step,
            total_steps=num_steps,
            warmup_steps=round(0.25 * num_steps),
            shape=shape,
            final_factor=0.1,
        )
        for step in range(num_steps)
    ]
    assert trainer.global_step == num_steps
    assert [rates[0] for rates in seen.rates] == pytest.approx(expected, abs=1e-15)


def test_rates_by_hand(tiny_model: str, reviews: Path) -> None:
    seen = StepRates()
    fit(tiny_model, reviews, LearningRateSchedule(warmup_steps=2), seen, max_steps=6, max_epochs=-1)
    # Up from 0 in two steps, down to 0 in four.
    expected = [0, 0.5e-3, 1e-3, 0.75e-3, 0.5e-3, 0.25e-3]
    assert [rates[0] for rates in seen.rates] == pytest.approx(expected)


def test_a_trapezoid_counts_in_epochs(tiny_model: str, reviews: Path) -> None:
    seen = StepRates()
    schedule = LearningRateSchedule("trapezoidal", warmup_epochs=0.5, decay_epochs=1.0)
    fit(tiny_model, reviews, schedule, seen, max_epochs=3)
    # 6 steps an epoch: up in three, level, down over the last six.
    factors = [0, 1 / 3, 2 / 3, *[1] * 10, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert [rates[0] for rates in seen.rates] == pytest.approx([1e-3 * f for f in factors])


def test_layers_keep_their_proportion(tiny_model: str, reviews: Path) -> None:
    seen = StepRates()
    model = TextClassifier(tiny_model, learning_rate=1e-3, layer_decay=0.5)
    fit(tiny_model, reviews, LearningRateSchedule(warmup_steps=2), seen, model=model)
    for rates in seen.rates[1:]:
        assert sorted({rate / max(rates) for rate in rates}) == pytest.approx(
            [1 / 8, 1 / 4, 1 / 2, 1]
        )


def test_a_second_schedule_is_refused(tiny_model: str, reviews: Path) -> None:
    both = (LearningRateSchedule(), LearningRateSchedule("cosine"))
    with pytest.raises(InputError, match="Expected one learning rate schedule"):
        fit(tiny_model, reviews, *both)


def test_warm_up_longer_than_the_run_is_refused(tiny_model: str, reviews: Path) -> None:
    with pytest.raises(InputError, match="below the run's 6 steps, got 6"):
        fit(tiny_model, reviews, LearningRateSchedule(warmup_steps=6))


def test_a_run_without_end_is_refused(tiny_model: str, reviews: Path) -> None:
    with pytest.raises(InputError, match=r"known length .* set `trainer.max_steps`"):
        fit(tiny_model, reviews, LearningRateSchedule(), max_epochs=-1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "step"}, r"linear, cosine, .*got 'step'"),
        ({"warmup_fraction": 1.0}, r"`warmup_fraction` to be in \[0, 1\), got 1.0"),
        ({"warmup_fraction": -0.1}, r"got -0.1"),
        ({"warmup_steps": -1}, r"got warmup_steps=-1"),
        ({"warmup_steps": 3, "warmup_fraction": 0.1}, r"warmup_steps=3, warmup_fraction=0.1"),
        ({"warmup_epochs": 0.5, "warmup_steps": 3}, r"without .* got warmup_epochs=0.5"),
        ({"decay_epochs": -1.0}, r"`decay_epochs` to be at least 0, got -1.0"),
        ({"final_factor": 1.5}, r"`final_factor` to be in \[0, 1\], got 1.5"),
    ],
)
def test_refuses_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LearningRateSchedule(**options)
