"""Student's t distribution for whole degrees of freedom, in closed form.

Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, 26.7.3 and 26.7.4.
"""

import math

_HALVINGS = 200  # of the interval that holds a quantile: to the last bit


def t_two_sided(t: float, degrees: int) -> float:
    """Probability that a value is further from zero than ``t``, on either side.

    Args:
        t: Of any sign; infinite gives 0.
        degrees: Of freedom, at least 1.

    Raises:
        ValueError: If ``degrees`` is below 1.
    """
    if degrees < 1:
        raise ValueError(f"Expected `degrees` to be at least 1, got {degrees}.")
    if math.isinf(t):
        return 0.0
    angle = math.atan(abs(t) / math.sqrt(degrees))
    within = _within_odd(angle, degrees) if degrees % 2 else _within_even(angle, degrees)
    return min(1.0, max(0.0, 1 - within))


def t_quantile(confidence: float, degrees: int) -> float:
    """How far from zero so large a share of the values lies at most.

    Args:
        confidence: That share, in [0, 1).
        degrees: Of freedom, at least 1.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if not 0 <= confidence < 1:
        raise ValueError(f"Expected `confidence` to be in [0, 1), got {confidence}.")
    low, high = 0.0, 1.0
    while t_two_sided(high, degrees) > 1 - confidence:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if t_two_sided(middle, degrees) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _within_odd(angle: float, degrees: int) -> float:
    cosine, total, term = math.cos(angle), 0.0, math.cos(angle)
    for power in range(1, degrees - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + math.sin(angle) * total)


def _within_even(angle: float, degrees: int) -> float:
    cosine, total, term = math.cos(angle), 0.0, 1.0
    for power in range(0, degrees - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return math.sin(angle) * total
