from typing import Any

import pytest
import torch
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
)

from lightning_app.functional.learning_rate import SHAPES, Shape, learning_rate_factor

WARMUP, TOTAL = 7, 40


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


REFERENCES: dict[Shape, Any] = {
    "linear": lambda warmup: get_linear_schedule_with_warmup(optimizer(), warmup, TOTAL),
    "cosine": lambda warmup: get_cosine_schedule_with_warmup(optimizer(), warmup, TOTAL),
    "polynomial": lambda warmup: get_polynomial_decay_schedule_with_warmup(
        optimizer(), warmup, TOTAL, lr_end=0.25, power=3.0
    ),
    "constant": lambda warmup: get_constant_schedule_with_warmup(optimizer(), warmup),
}


@pytest.mark.parametrize("warmup", [0, 1, WARMUP])
@pytest.mark.parametrize("shape", list(REFERENCES))
def test_equals_transformers_at_each_step(shape: Shape, warmup: int) -> None:
    reference = REFERENCES[shape](warmup).lr_lambdas[0]
    final = 0.25 if shape == "polynomial" else 0.0
    for step in range(TOTAL + 1):
        ours = learning_rate_factor(
            step,
            total_steps=TOTAL,
            warmup_steps=warmup,
            shape=shape,
            power=3.0,
            final_factor=final,
        )
        assert ours == pytest.approx(reference(step), abs=1e-12), step


def test_inverse_square_root_equals_transformers_after_a_warm_up() -> None:
    reference = get_inverse_sqrt_schedule(optimizer(), WARMUP).lr_lambdas[0]
    for step in range(200):
        ours = learning_rate_factor(
            step, total_steps=TOTAL, warmup_steps=WARMUP, shape="inverse_square_root"
        )
        assert ours == pytest.approx(reference(step), abs=1e-12), step


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        # 10 steps of warm-up, 110 in all: step 60 is half way down, from 1 to 0.2.
        ("linear", 0.6),
        ("cosine", 0.6),
        ("polynomial", 0.2 + 0.8 * 0.25),
        ("constant", 1.0),
        ("inverse_square_root", (10 / 60) ** 0.5),
    ],
)
def test_half_way_by_hand(shape: Shape, expected: float) -> None:
    factor = learning_rate_factor(
        60, total_steps=110, warmup_steps=10, shape=shape, final_factor=0.2
    )
    assert factor == pytest.approx(expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_warm_up_rises_from_zero_by_equal_steps(shape: Shape) -> None:
    factors = [
        learning_rate_factor(step, total_steps=100, warmup_steps=4, shape=shape)
        for step in range(5)
    ]
    assert factors == [0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("shape", ["linear", "cosine", "polynomial"])
def test_stays_at_the_final_factor_after_the_end(shape: Shape) -> None:
    factors = [
        learning_rate_factor(step, total_steps=10, shape=shape, final_factor=0.125)
        for step in (10, 11, 1000)
    ]
    assert factors == pytest.approx([0.125] * 3)


def test_warm_up_may_be_the_whole_run() -> None:
    factors = [learning_rate_factor(s, total_steps=4, warmup_steps=4) for s in range(5)]
    assert factors == [0, 0.25, 0.5, 0.75, 0.0]


def test_a_trapezoid_by_hand() -> None:
    factors = [
        learning_rate_factor(
            step, total_steps=10, warmup_steps=2, shape="trapezoidal", decay_steps=4
        )
        for step in range(11)
    ]
    assert factors == pytest.approx([0, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])


def test_trapezoids_of_all_lengths_begin_alike() -> None:
    def course(total: int, decay: int) -> list[float]:
        options: Any = {"warmup_steps": 3, "shape": "trapezoidal", "decay_steps": decay}
        return [learning_rate_factor(s, total_steps=total, **options) for s in range(total + 1)]

    assert course(20, 5)[:16] == course(30, 5)[:16] == course(100, 0)[:16]
    assert course(20, 5)[-1] == 0
    assert course(100, 0)[3:] == [1.0] * 98


def test_a_fall_longer_than_the_run_begins_after_the_warm_up() -> None:
    longer = [
        learning_rate_factor(s, total_steps=8, warmup_steps=2, shape="trapezoidal", decay_steps=99)
        for s in range(9)
    ]
    linear = [learning_rate_factor(s, total_steps=8, warmup_steps=2) for s in range(9)]
    assert longer == pytest.approx(linear)
