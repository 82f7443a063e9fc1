"""Histograms by hand, and thresholds against the procedure as the slides write it."""

import math

import pytest
import torch
from torch import Tensor

from lightning_app.functional.activation_histogram import (
    entropy_threshold,
    histogram,
    percentile_of_histogram,
)
from lightning_app.functional.quantization import percentile_range


def slow_divergence(counts: list[float], kept: int, num_levels: int) -> float:
    """One threshold, bin by bin."""
    reference = counts[:kept]
    beyond = sum(counts[kept:])
    levels = [[j for j in range(kept) if j * num_levels // kept == k] for k in range(num_levels)]
    candidate = [0.0] * kept
    for bins in levels:
        filled = [j for j in bins if counts[j] > 0]
        for j in filled:
            candidate[j] = sum(counts[b] for b in bins) / len(filled)
    inside = sum(candidate)
    candidate = [value / inside if inside else 0.0 for value in candidate]
    if beyond and not counts[kept - 1]:
        candidate = [value * (1 - 1e-4) for value in candidate]
        candidate[-1] = 1e-4
    reference[-1] += beyond
    total = sum(reference)
    pairs = zip(reference, candidate, strict=True)
    return sum(p / total * math.log(p / total / q) for p, q in pairs if p)


def slow_threshold(counts: Tensor, largest: float, num_levels: int) -> float:
    found = [
        (slow_divergence(counts.tolist(), kept, num_levels), -kept)
        for kept in range(num_levels, len(counts) + 1)
    ]
    return largest * -min((round(d, 12), k) for d, k in found)[1] / len(counts)


def test_a_histogram_by_hand() -> None:
    values = torch.tensor([[-1.0, -0.9, 0.0], [0.49, 0.5, 1.0]])
    assert histogram(values, -1.0, 1.0, 4).tolist() == [2, 0, 2, 2]
    assert histogram(values.bfloat16(), -1.0, 1.0, 2).tolist() == [2, 4]


def test_a_histogram_counts_beyond_what_float32_can() -> None:
    assert histogram(torch.zeros(2**24 + 3, dtype=torch.int8), 0.0, 1.0, 2).tolist() == [
        2**24 + 3,
        0,
    ]


def test_a_percentile_by_hand() -> None:
    counts = torch.tensor([1, 2, 94, 2, 1])
    cases = {100: (-5.0, 5.0), 98: (-3.0, 3.0), 96: (-3.0, 3.0), 94: (-1.0, 1.0)}
    for percentile, expected in cases.items():
        assert percentile_of_histogram(counts, -5.0, 5.0, percentile) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"`percentile` to be in \(0, 100\], got 0"):
        percentile_of_histogram(counts, -5.0, 5.0, 0)


@pytest.mark.parametrize("percentile", [100, 99.99, 99.9, 90])
def test_a_percentile_is_that_of_the_values_to_a_bin(percentile: float) -> None:
    values = torch.randn(100_000, generator=torch.Generator().manual_seed(0)) ** 3
    low, high = (float(value) for value in values.aminmax())
    found = percentile_of_histogram(histogram(values, low, high), low, high, percentile)
    exact = percentile_range(values, percentile)
    assert found == pytest.approx(exact.tolist(), abs=(high - low) / 2048)
    assert found[0] <= exact[0] <= exact[1] <= found[1]


@pytest.mark.parametrize("shape", ["normal", "long tail", "outlier", "sparse"])
@pytest.mark.parametrize(("num_bins", "num_levels"), [(64, 8), (100, 16), (256, 128)])
def test_the_threshold_is_that_of_the_direct_computation(
    shape: str, num_bins: int, num_levels: int
) -> None:
    values = torch.randn(5_000, generator=torch.Generator().manual_seed(1)).abs()
    values = {
        "normal": values,
        "long tail": values**4,
        "outlier": torch.cat((values, torch.tensor([100.0]))),
        "sparse": values[:40] ** 3,
    }[shape]
    largest = float(values.max())
    counts = histogram(values, 0.0, largest, num_bins)
    expected = slow_threshold(counts, largest, num_levels)
    assert entropy_threshold(counts, largest, num_levels) == pytest.approx(expected)


def test_thresholds_by_hand() -> None:
    # As many bins as levels lose nothing; clipping one value of 1,001 costs next to nothing.
    counts = torch.tensor([100, 300, 250, 250, 0, 0, 0, 1])
    assert entropy_threshold(counts, 8.0, num_levels=4) == 4.0
    # Bins of a level that are alike, or empty, merge without a loss: nothing is to be gained.
    assert entropy_threshold(torch.tensor([5, 5, 3, 3, 0, 2, 9, 9]), 8.0, num_levels=4) == 8.0
    assert entropy_threshold(torch.zeros(8), 8.0, num_levels=4) == 8.0
    assert entropy_threshold(torch.ones(4), 8.0, num_levels=4) == 8.0


def test_a_lone_value_does_not_forbid_to_clip() -> None:
    values = torch.randn(100_000, generator=torch.Generator().manual_seed(2)).abs()
    values[0] = 1_000.0
    threshold = entropy_threshold(histogram(values, 0.0, 1_000.0), 1_000.0)
    assert threshold == 1_000.0 * 128 / 2048
