from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lightning_app.errors import InputError
from lightning_app.search.domain import Domain


@pytest.mark.parametrize(
    ("written", "distribution"),
    [
        ({"choices": [8, 16]}, CategoricalDistribution([8, 16])),
        ({"low": 1, "high": 9, "step": 2}, IntDistribution(1, 9, step=2)),
        ({"low": 1e-5, "high": 1e-3, "log": True}, FloatDistribution(1e-5, 1e-3, log=True)),
        ({"low": "1e-5", "high": 1}, FloatDistribution(1e-5, 1)),  # what YAML makes of 1e-5
    ],
)
def test_what_is_written_is_what_is_searched(written: Any, distribution: Any) -> None:
    assert Domain.of("a.b", written).distribution == distribution


def test_lists_come_back_as_they_were() -> None:
    domain = Domain.of("model.structure.num_layers", {"choices": [4, [0, 2, 5], None]})
    assert domain.distribution.choices == (4, "[0, 2, 5]", None)  # type: ignore[attr-defined]
    assert [domain.value(stored) for stored in (4, "[0, 2, 5]", None)] == [4, [0, 2, 5], None]
    assert domain.stored([0, 2, 5]) == "[0, 2, 5]"


def test_the_values_of_a_grid() -> None:
    assert Domain.of("a", {"low": 2, "high": 7, "step": 2}).grid() == [2, 4, 6]
    assert Domain.of("a", {"choices": [3, 1]}).grid() == [3, 1]
    with pytest.raises(InputError, match=r"`space.a` of a grid .* low=0.1, high=0.5; write"):
        Domain.of("a", {"low": 0.1, "high": 0.5}).grid()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([1, 2], r"`space.a.b` to be `\{choices: \[...\]\}` or .*, got \[1, 2\]"),
        ({"low": 1}, r"got 'low'"),
        ({"low": 1, "high": 2, "steps": 1}, r"got 'low', 'high', 'steps'"),
        ({"choices": []}, r"got choices=\[\]"),
        ({"choices": [1, 2, 1]}, r"different `choices` in `space.a.b`, got 1 twice"),
        ({"low": 3, "high": 2}, r"at most its `high`, got low=3, high=2"),
        ({"low": 0, "high": 2, "log": True}, r"above 0 with `log`, got 0"),
        ({"low": "few", "high": 2}, r"`low` of `space.a.b` to be a number, got 'few'"),
        ({"low": 0.1, "high": 0.5, "step": 1}, r"`step` of `space.a.b` to be a whole number"),
        ({"low": 1, "high": 8, "step": 2, "log": True}, r"`step` or `log` .* got both"),
    ],
)
def test_refuses_what_is_written_wrongly(written: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Domain.of("a.b", written)
