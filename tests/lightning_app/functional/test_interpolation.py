"""Between measured points on straight lines."""

import pytest

from lightning_app.functional.interpolation import interpolated_mean

AT, VALUES = [8, 16, 32], [1.0, 2.0, 6.0]


@pytest.mark.parametrize(
    ("asked", "value"),
    [([8], 1.0), ([3], 1.0), ([16], 2.0), ([20], 3.0), ([12, 24], (1.5 + 4.0) / 2), ([32], 6.0)],
)
def test_values_by_hand(asked: list[int], value: float) -> None:
    assert interpolated_mean(VALUES, AT, asked) == pytest.approx(value)


@pytest.mark.parametrize("asked", [[], [33]])
def test_nothing_and_too_far_are_refused(asked: list[int]) -> None:
    with pytest.raises(ValueError, match="within 32"):
        interpolated_mean(VALUES, AT, asked)
