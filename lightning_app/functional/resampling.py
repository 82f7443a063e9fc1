"""Percentiles, and intervals by the bootstrap.

Efron, "Bootstrap methods: another look at the jackknife", 1979; intervals are the percentiles of
the resampled statistic.
"""

from collections.abc import Callable

import torch
from torch import Tensor

RESAMPLES = 1000
CONFIDENCE = 0.95


def percentile(values: Tensor, percent: float) -> float:
    """The value that ``percent`` of the values do not exceed, between neighbours by proportion.

    Args:
        values: ``[values]``, at least one.
        percent: In [0, 100].

    Raises:
        ValueError: If there are no values, or ``percent`` is out of its range.
    """
    if values.numel() == 0:
        raise ValueError("Expected `values` to hold at least one, got none.")
    if not 0 <= percent <= 100:
        raise ValueError(f"Expected `percent` to be in [0, 100], got {percent}.")
    ordered = values.double().flatten().sort().values
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def resampled(
    statistic: Callable[[Tensor], Tensor],
    num_rows: int,
    num_resamples: int = RESAMPLES,
    seed: int = 0,
) -> Tensor:
    """A statistic of rows drawn anew, with replacement, again and again.

    Args:
        statistic: From the numbers of the rows drawn, ``[rows]``, to values ``[values]``.
        num_rows: To draw from, and to draw.
        num_resamples: How often.
        seed: Of the draws; one seed and one number of rows give one sequence of draws.

    Returns:
        ``[num_resamples, values]``.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = (
        torch.randint(num_rows, (num_rows,), generator=generator) for _ in range(num_resamples)
    )
    return torch.stack([statistic(rows) for rows in draws])


def interval(values: Tensor, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """What lies in the middle of the values.

    Args:
        values: ``[resamples]``.
        confidence: Share of the values within, in (0, 1).
    """
    outside = 100 * (1 - confidence) / 2
    return percentile(values, outside), percentile(values, 100 - outside)


def median_interval(rounds: Tensor, seed: int = 0) -> tuple[float, float, float]:
    """Median over rounds, and its interval of 95 %.

    Args:
        rounds: One value a round, ``[rounds]``.
        seed: Of the draws.
    """
    drawn = resampled(lambda chosen: rounds[chosen].quantile(0.5), len(rounds), seed=seed)
    return (percentile(rounds, 50), *interval(drawn))


def paired_ratio(rounds: Tensor, reference: Tensor, seed: int = 0) -> tuple[float, float, float]:
    """How many times the reference's, as the median over rounds of each round's ratio.

    What disturbs all of a round is in both and divides out.

    Args:
        rounds: One value a round, ``[rounds]``, above 0.
        reference: Of the same rounds.
        seed: Of the draws.

    Returns:
        Ratio, and the ends of its interval of 95 %; a difference is outside of the noise where
        that leaves out 1.

    Raises:
        ValueError: If the numbers of rounds differ.
    """
    if rounds.shape != reference.shape:
        raise ValueError(
            f"Expected as many `rounds` as of the `reference`, got {len(rounds)} and"
            f" {len(reference)}."
        )
    return median_interval(rounds.double() / reference.double(), seed)
