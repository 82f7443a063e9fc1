from typing import Any

import pytest

from callbacks import WeightSchedule
from lightning_app.errors import InputError


def test_factor_by_hand() -> None:
    schedule = WeightSchedule(initial=2.0, final=1.0, start=4, end=8, unit="steps")
    assert [schedule.factor(step) for step in (0, 4, 5, 7, 8, 100)] == [2, 2, 1.75, 1.25, 1, 1]


def test_a_step() -> None:
    schedule = WeightSchedule(initial=1.0, final=0.0, start=5, end=5, unit="steps")
    assert [schedule.factor(step) for step in (4, 5)] == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"unit": "hours"}, "`unit` to be one of fraction, epochs, steps, got 'hours'"),
        ({"initial": -1.0}, r"at least 0, got initial=-1.0"),
        ({"start": 0.6, "end": 0.5}, r"0 <= `start` <= `end`, got start=0.6, end=0.5"),
    ],
)
def test_refuses(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        WeightSchedule(**arguments)
