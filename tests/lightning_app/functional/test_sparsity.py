import itertools
import math

import pytest

from lightning_app.functional.sparsity import (
    SHAPES,
    Shape,
    cubic_sparsity,
    exponential_sparsity,
    linear_sparsity,
    one_shot_sparsity,
    scaled_shares,
    scheduled_sparsity,
)

GRADUAL: tuple[Shape, ...] = ("linear", "cubic", "exponential")
# Pairs whose sums and powers do not round to themselves in binary.
ENDS = [(0.0, 0.9), (0.1, 0.7), (0.3, 0.97), (0.05, 1 / 3), (0.7, 0.1), (0.2, 0.2), (0.0, 0.0)]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("one_shot", 0.9),
        ("linear", 0.5),
        ("cubic", 0.9 - 0.8 / 8),
        # The density falls from 0.9 to 0.1, half way by the square root of that factor.
        ("exponential", 1 - 0.3),
    ],
)
def test_half_way_by_hand(shape: Shape, expected: float) -> None:
    assert scheduled_sparsity(shape, 0.5, final=0.9, initial=0.1) == pytest.approx(expected)


def test_cubic_is_the_equation_of_zhu_and_gupta() -> None:
    # Their form in steps: t_0 = 100, n = 20 prunings, every dt = 50 steps.
    for t in range(100, 1101, 50):
        theirs = 0.8 + (0.2 - 0.8) * (1 - (t - 100) / (20 * 50)) ** 3
        assert cubic_sparsity((t - 100) / 1000, 0.2, 0.8) == pytest.approx(theirs)


def test_exponential_removes_the_same_share_of_survivors_each_time() -> None:
    densities = [1 - exponential_sparsity(step / 10, 0.0, 0.9) for step in range(11)]
    factors = [after / before for before, after in itertools.pairwise(densities)]
    assert factors == pytest.approx([0.1**0.1] * 10)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("initial", "final"), ENDS)
def test_exactly_final_from_the_end_on(shape: Shape, initial: float, final: float) -> None:
    for progress in (1.0, 1.5, math.inf):
        assert scheduled_sparsity(shape, progress, final, initial) == final


@pytest.mark.parametrize("shape", GRADUAL)
@pytest.mark.parametrize(("initial", "final"), ENDS)
def test_exactly_initial_up_to_the_beginning(shape: Shape, initial: float, final: float) -> None:
    for progress in (0.0, -0.5, -math.inf):
        assert scheduled_sparsity(shape, progress, final, initial) == initial


def test_one_shot_is_final_whenever_it_is_asked() -> None:
    assert [one_shot_sparsity(p, 0.1, 0.7) for p in (-1.0, 0.0, 0.4, 1.0)] == [0.7] * 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("initial", "final"), ENDS)
def test_is_monotone_and_between_its_ends(shape: Shape, initial: float, final: float) -> None:
    progress = [step / 997 for step in range(998)] + [1e-300, 1e-16, 1 - 1e-16]
    course = [scheduled_sparsity(shape, p, final, initial) for p in sorted(progress)]
    assert course == sorted(course, reverse=final < initial)
    assert all(min(initial, final) <= sparsity <= max(initial, final) for sparsity in course)


def test_the_dispatch_starts_from_a_dense_model() -> None:
    assert scheduled_sparsity("linear", 0.25, 0.8) == linear_sparsity(0.25, 0.0, 0.8)


def test_an_unknown_shape_lists_the_shapes() -> None:
    message = "`shape` to be one of one_shot, linear, cubic, exponential, got 'cosine'"
    with pytest.raises(ValueError, match=message):
        scheduled_sparsity("cosine", 0.5, 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wrong", [1.0, 1.2, -0.1, math.nan])
def test_a_sparsity_outside_its_interval_is_refused(shape: Shape, wrong: float) -> None:
    with pytest.raises(ValueError, match=rf"`final` to be in \[0, 1\), got {wrong}\."):
        scheduled_sparsity(shape, 0.5, wrong)
    with pytest.raises(ValueError, match=rf"`initial` to be in \[0, 1\), got {wrong}\."):
        scheduled_sparsity(shape, 0.5, 0.5, wrong)


@pytest.mark.parametrize(
    ("shares", "sizes", "sparsity", "expected"),
    [
        # Densities 0.8 and 0.4 of equal sizes make 0.6; halved they make 0.3.
        ([0.2, 0.6], [10, 10], 0.7, [0.6, 0.8]),
        ([0.2, 0.6], [10, 10], 0.4, [0.2, 0.6]),
        # 0.75 of 20: the first is full at 10, the second keeps the other 5.
        ([0.2, 0.6], [10, 10], 0.25, [0.0, 0.5]),
        ([0.2, 0.6], [30, 10], 0.3, [0.2, 0.6]),
        ([0.0, 0.0, 0.5], [10, 20, 10], 0.0, [0.0, 0.0, 0.0]),
        ([0.0, 0.0], [10, 30], 0.9, [0.9, 0.9]),
        # Two are full: 30 of the 33 that are kept.
        ([0.1, 0.2, 0.9], [10, 20, 10], 0.175, [0.0, 0.0, 0.7]),
    ],
)
def test_densities_are_scaled_by_one_factor_up_to_one(
    shares: list[float], sizes: list[int], sparsity: float, expected: list[float]
) -> None:
    assert scaled_shares(shares, sizes, sparsity) == pytest.approx(expected, abs=1e-12)


def test_scaled_shares_make_up_the_sparsity_and_keep_their_order() -> None:
    shares, sizes = [0.9, 0.0, 0.35, 0.99, 0.5], [7, 1000, 40, 300, 5]
    for sparsity in (0.0, 0.001, 0.2, 0.6, 0.9, 0.999):
        scaled = scaled_shares(shares, sizes, sparsity)
        zeros = sum(share * size for share, size in zip(scaled, sizes, strict=True))
        assert zeros == pytest.approx(sparsity * sum(sizes), abs=1e-9)
        assert all(0 <= share < 1 for share in scaled)
        by_share = [share for _, share in sorted(zip(shares, scaled, strict=True))]
        assert by_share == sorted(by_share)


@pytest.mark.parametrize(("shares", "sparsity"), [([0.5, 1.0], 0.5), ([-0.1], 0.5), ([0.5], 1.0)])
def test_shares_outside_their_interval_are_refused(shares: list[float], sparsity: float) -> None:
    with pytest.raises(ValueError, match=r"`shares` and `sparsity` to be in \[0, 1\), got"):
        scaled_shares(shares, [1] * len(shares), sparsity)
