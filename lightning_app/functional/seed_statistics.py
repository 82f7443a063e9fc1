"""Mean over seeds with its interval, and whether two methods differ on the same seeds.

With five seeds nothing can be shown by signs alone: the smallest two-sided p of an exact test is
2 / 2^5 = 0.0625. The t-interval assumes normal differences and can.
"""

import itertools
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_app.functional.student_t import t_quantile, t_two_sided

CONFIDENCE = 0.95
MAX_EXACT = 16
"""Pairs up to which all assignments of signs are counted: 65,536."""
DRAWS = 20_000
_ROUNDING = 1e-12  # sums of the same numbers in another order


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over seeds.

    Args:
        mean: Of the values.
        std: Standard deviation of the values, with n - 1; None of one value.
        low: Lower end of the interval of 95 % by Student's t; None of one value.
        high: Upper end.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PairedTest:
    """Differences of two methods, seed by seed.

    Args:
        difference: Mean of them, with its interval.
        t_p: Two-sided p of the paired t-test; None of one pair.
        sign_flip_p: Two-sided p of the exact test that swaps the two of each pair.
        smallest_p: That the exact test can give with so many pairs.
    """

    difference: MeanEstimate
    t_p: float | None
    sign_flip_p: float
    smallest_p: float

    @property
    def is_outside_noise(self) -> bool:
        """Whether the interval of the mean difference leaves out zero."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


def mean_estimate(values: Sequence[float]) -> MeanEstimate:
    """Mean, standard deviation and interval.

    Args:
        values: One a seed, at least one.

    Raises:
        ValueError: If there are none.
    """
    if not values:
        raise ValueError("Expected `values` to hold at least one, got none.")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return MeanEstimate(mean, None, None, None)
    std = statistics.stdev(values)
    arm = t_quantile(CONFIDENCE, len(values) - 1) * std / math.sqrt(len(values))
    return MeanEstimate(mean, std, mean - arm, mean + arm)


def paired_test(values: Sequence[float], reference: Sequence[float]) -> PairedTest:
    """Compare two methods on the same seeds.

    Args:
        values: One a seed.
        reference: Of the same seeds, in the same order.

    Raises:
        ValueError: If there are none, or not as many of each.
    """
    if len(values) != len(reference):
        raise ValueError(
            f"Expected as many `values` as of the `reference`, got {len(values)} and"
            f" {len(reference)}."
        )
    differences = [a - b for a, b in zip(values, reference, strict=True)]
    estimate = mean_estimate(differences)
    count = len(differences)
    t_p = None
    if estimate.std is not None:
        t_p = t_two_sided(_t_statistic(estimate.mean, estimate.std, count), count - 1)
    return PairedTest(estimate, t_p, sign_flip_p(differences), min(1.0, 2 / 2**count))


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of the mean difference, if each sign were as likely.

    Fisher, "The Design of Experiments", 1935, section 21. All assignments of signs are counted up
    to 16 pairs; above that 20,000 are drawn, and the one seen is counted with them.

    Args:
        differences: One a pair, at least one.
        seed: Of the draws.

    Raises:
        ValueError: If there are none.
    """
    if not differences:
        raise ValueError("Expected `differences` to hold at least one, got none.")
    count = len(differences)
    seen = abs(sum(differences)) - _ROUNDING * sum(map(abs, differences))
    if count <= MAX_EXACT:
        signs = itertools.product((1, -1), repeat=count)
        extreme = sum(_is_extreme(differences, chosen, seen) for chosen in signs)
        return float(extreme / 2**count)
    draws = random.Random(seed)
    extreme = sum(
        _is_extreme(differences, draws.choices((1, -1), k=count), seen) for _ in range(DRAWS)
    )
    return (extreme + 1) / (DRAWS + 1)


def _is_extreme(differences: Sequence[float], signs: Sequence[int], seen: float) -> bool:
    return abs(sum(d * sign for d, sign in zip(differences, signs, strict=True))) >= seen


def _t_statistic(mean: float, std: float, count: int) -> float:
    if std == 0:
        return math.inf if mean else 0.0
    return mean / (std / math.sqrt(count))
