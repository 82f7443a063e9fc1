"""Which of several results, measured in several ways at once, are beaten by others."""

from collections.abc import Sequence

Values = Sequence[float]
"""One number an objective; higher is better in all of them."""


def dominates(one: Values, other: Values) -> bool:
    """Whether ``one`` is nowhere worse than ``other`` and somewhere better.

    Args:
        one: ``[objectives]``.
        other: ``[objectives]``.
    """
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def front(points: Sequence[Values]) -> list[int]:
    """Numbers of the points that none dominates, ascending; of equal points all.

    Args:
        points: ``[points, objectives]``.
    """
    return [
        number
        for number, point in enumerate(points)
        if not any(dominates(other, point) for other in points)
    ]


def is_dominated_with_margin(point: Values, others: Sequence[Values], margins: Values) -> bool:
    """Whether one of the others is ahead of ``point`` by at least the margin in every objective.

    What is learned later may still change the objectives that have a margin above 0, such as the
    score after one epoch of three; those with 0, such as the latency of a structure, are final. A
    point that is just as good everywhere is not dominated, whatever the margins.

    Args:
        point: ``[objectives]``.
        others: ``[others, objectives]``, measured at the same moment of their training.
        margins: ``[objectives]``, at least 0, in units of each objective.
    """
    return any(
        dominates(other, point)
        and all(o >= p + m for o, p, m in zip(other, point, margins, strict=True))
        for other in others
    )
