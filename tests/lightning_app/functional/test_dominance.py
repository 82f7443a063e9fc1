import pytest

from lightning_app.functional.dominance import dominates, front, is_dominated_with_margin


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [
        ([0.8, -3.0], [0.7, -4.0], True),
        ([0.8, -3.0], [0.8, -4.0], True),
        ([0.8, -3.0], [0.8, -3.0], False),  # equal
        ([0.8, -5.0], [0.7, -4.0], False),  # better and slower
    ],
)
def test_one_is_ahead_if_it_is_nowhere_behind(
    one: list[float], other: list[float], wins: bool
) -> None:
    assert dominates(one, other) == wins


def test_the_front_by_hand() -> None:
    points = [[0.8, -3.0], [0.9, -9.0], [0.7, -4.0], [0.8, -3.0], [0.6, -1.0], [0.9, -9.5]]
    assert front(points) == [0, 1, 3, 4]
    assert front([]) == []


@pytest.mark.parametrize(
    ("point", "stopped"),
    [
        ([0.70, -4.0], True),  # 5 points behind, and slower
        ([0.74, -4.0], False),  # behind by less than the margin
        ([0.70, -2.0], False),  # behind, but faster
        ([0.70, -3.0], True),  # as fast
        ([0.75, -3.0], False),  # equal
    ],
)
def test_a_trial_is_stopped_where_another_is_ahead_by_the_margin(
    point: list[float], stopped: bool
) -> None:
    assert is_dominated_with_margin(point, [[0.75, -3.0]], [0.02, 0.0]) == stopped


def test_an_equal_trial_is_not_stopped_without_a_margin_either() -> None:
    assert not is_dominated_with_margin([0.7, -3.0], [[0.7, -3.0]], [0.0, 0.0])
    assert not is_dominated_with_margin([0.7, -3.0], [], [0.0, 0.0])
