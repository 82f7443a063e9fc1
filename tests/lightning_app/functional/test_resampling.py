import numpy as np
import pytest
import torch

from lightning_app.functional.resampling import (
    interval,
    median_interval,
    paired_ratio,
    percentile,
    resampled,
)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (50, 2.5), (95, 8.95), (99, 9.79), (100, 10.0)]
)
def test_percentiles_by_hand(percent: float, expected: float) -> None:
    # Between the third (3) and fourth (10) value: 2.85 of 3 steps lie behind at 95 percent.
    assert percentile(torch.tensor([10.0, 1.0, 3.0, 2.0]), percent) == pytest.approx(expected)


def test_percentiles_are_numpys() -> None:
    values = torch.rand(101)
    for percent in (0, 2.5, 33, 50, 95, 97.5, 99, 100):
        expected = np.percentile(values.double().numpy(), percent)
        assert percentile(values, percent) == pytest.approx(float(expected), rel=1e-12)


def test_one_value_is_all_percentiles() -> None:
    assert percentile(torch.tensor([3.0]), 99) == 3


def test_percentiles_refuse_what_has_none() -> None:
    with pytest.raises(ValueError, match="at least one, got none"):
        percentile(torch.tensor([]), 50)
    with pytest.raises(ValueError, match=r"in \[0, 100\], got 101"):
        percentile(torch.ones(2), 101)


def test_resamples_are_seeded_draws_of_all_rows() -> None:
    draws = resampled(lambda rows: rows, 5, num_resamples=400, seed=3)
    assert draws.shape == (400, 5)
    assert draws.unique().tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(draws, resampled(lambda rows: rows, 5, num_resamples=400, seed=3))
    assert not torch.equal(draws, resampled(lambda rows: rows, 5, num_resamples=400, seed=4))


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    hits = torch.cat([torch.ones(80), torch.zeros(20)])
    means = resampled(lambda rows: hits[rows].mean(), 100, num_resamples=4000)
    low, high = interval(means)
    # 1.96 times sqrt(0.8 * 0.2 / 100)
    assert low == pytest.approx(0.8 - 0.0784, abs=0.011)
    assert high == pytest.approx(0.8 + 0.0784, abs=0.011)


def test_the_interval_holds_its_share() -> None:
    low, high = interval(torch.arange(101.0), confidence=0.9)
    assert (low, high) == pytest.approx((5, 95))


def test_equal_rounds_have_no_interval() -> None:
    assert median_interval(torch.full((7,), 2.0)) == (2, 2, 2)


def test_a_disturbance_of_a_round_divides_out() -> None:
    quiet = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    disturbed = quiet * torch.tensor([1, 5, 1, 3, 1, 9])
    assert paired_ratio(disturbed * 1.1, disturbed) == pytest.approx((1.1, 1.1, 1.1))


def test_noise_is_not_a_difference_and_a_difference_is_not_noise() -> None:
    noise = torch.tensor([0.98, 1.03, 0.99, 1.02, 1.01, 0.97, 1.0, 1.02, 0.99, 1.01])
    ratio, low, high = paired_ratio(noise, torch.ones(10))
    assert low < 1 < high
    assert ratio == pytest.approx(1.005)
    assert paired_ratio(noise * 1.2, torch.ones(10))[1] > 1
    assert paired_ratio(noise / 1.2, torch.ones(10))[2] < 1


def test_rounds_must_be_paired() -> None:
    with pytest.raises(ValueError, match="got 2 and 3"):
        paired_ratio(torch.ones(2), torch.ones(3))
