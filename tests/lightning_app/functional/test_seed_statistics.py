import random

import pytest
from scipy import stats

from lightning_app.functional.seed_statistics import (
    MAX_EXACT,
    mean_estimate,
    paired_test,
    sign_flip_p,
)

A = [0.861, 0.874, 0.858, 0.880, 0.866]
B = [0.870, 0.879, 0.861, 0.879, 0.874]


def test_mean_and_interval_by_hand() -> None:
    found = mean_estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.std) == (2.0, 1.0)
    # 4.302653 of two degrees of freedom, by the square root of 3.
    assert found.high == pytest.approx(2 + 4.302653 / 3**0.5, abs=1e-6)
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-6)


def test_one_value_has_no_interval() -> None:
    found = mean_estimate([0.5])
    assert (found.mean, found.std, found.low, found.high) == (0.5, None, None, None)


def test_paired_test_is_scipys() -> None:
    found = paired_test(A, B)
    expected = stats.ttest_rel(A, B)
    ends = expected.confidence_interval(0.95)
    assert found.t_p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.difference.low == pytest.approx(ends.low, rel=1e-9)
    assert found.difference.high == pytest.approx(ends.high, rel=1e-9)
    flipped = stats.permutation_test(
        (A, B), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", vectorized=True
    )
    assert found.sign_flip_p == pytest.approx(flipped.pvalue)
    assert found.smallest_p == 0.0625


def test_sign_flips_by_hand() -> None:
    # |a + b| of the signs ++, +-, -+, --: 3, 1, 1, 3; of the four two are as far as 3.
    assert sign_flip_p([1.0, 2.0]) == 0.5
    assert sign_flip_p([1.0, -2.0]) == 1.0
    assert sign_flip_p([1.0] * 5) == 2 / 32
    assert sign_flip_p([0.0, 0.0]) == 1.0


def test_rounding_does_not_lose_the_mirror_image() -> None:
    differences = [0.1, 0.2, 0.3]  # whose sum depends on the order of addition
    assert sign_flip_p(differences) == 0.25


def test_many_pairs_are_drawn() -> None:
    draws = random.Random(1)
    differences = [draws.gauss(0.4, 1) for _ in range(MAX_EXACT + 8)]
    exact = stats.ttest_1samp(differences, 0).pvalue
    assert sign_flip_p(differences) == pytest.approx(exact, abs=0.02)
    assert sign_flip_p(differences) == sign_flip_p(differences)


def test_whether_a_difference_is_outside_of_the_noise() -> None:
    assert paired_test([1.0, 1.1, 1.2], [0.0, 0.1, 0.3]).is_outside_noise
    assert not paired_test([1.0, -1.0], [0.0, 0.0]).is_outside_noise
    assert not paired_test([1.0], [0.0]).is_outside_noise
    assert paired_test([1.0, 2.0], [0.0, 1.0]).t_p == 0.0  # the same difference each time


def test_refused() -> None:
    with pytest.raises(ValueError, match="`values` to hold at least one"):
        mean_estimate([])
    with pytest.raises(ValueError, match="`differences` to hold at least one"):
        sign_flip_p([])
    with pytest.raises(ValueError, match="got 2 and 1"):
        paired_test([1.0, 2.0], [1.0])
