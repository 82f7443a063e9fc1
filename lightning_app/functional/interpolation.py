"""Values between those that were measured."""

from bisect import bisect_left
from collections.abc import Sequence


def interpolated_mean(values: Sequence[float], at: Sequence[int], asked: Sequence[int]) -> float:
    """Mean of what lies on straight lines between measured points.

    Args:
        values: Measured, at least one.
        at: Where, ascending; of the length of ``values``.
        asked: Where the mean is of, at least one; below the first point its value counts.

    Raises:
        ValueError: If something beyond the last point is asked for.
    """
    if not asked or max(asked) > at[-1]:
        raise ValueError(f"Expected `asked` within {at[-1]}, at least one, got {list(asked)[:5]}.")
    return sum(_interpolated(values, at, place) for place in asked) / len(asked)


def _interpolated(values: Sequence[float], at: Sequence[int], place: int) -> float:
    right = bisect_left(at, place)
    if right == 0 or at[right] == place:
        return values[right]
    share = (place - at[right - 1]) / (at[right] - at[right - 1])
    return values[right - 1] + share * (values[right] - values[right - 1])
