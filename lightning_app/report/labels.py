"""Where the names of points go, so that they do not cover each other."""

from collections.abc import Iterator, Sequence

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_LETTER, _LINE = 4.6, 11.0  # of 8 points
_GAP = 8.0
_STEPS = 6


def label_offsets(
    points: Sequence[tuple[float, float]], names: Sequence[str], width: float, height: float
) -> list[tuple[float, float]]:
    """For each point the offset of its name, to the right where positive, else to the left.

    Args:
        points: Places within the picture, both in [0, 1].
        names: As many.
        width: Of the picture, in typographic points, as are the offsets.
        height: Of the picture.
    """
    taken = [_around(x * width, y * height) for x, y in points]
    offsets = []
    for (x, y), name in zip(points, names, strict=True):
        tried = [(o, _box(x * width, y * height, o, name)) for o in _candidates()]
        offset, box = min(tried, key=lambda pair: _cost(pair[1], taken, width, height))
        taken.append(box)
        offsets.append(offset)
    return offsets


def _candidates() -> Iterator[tuple[float, float]]:
    for step in range(_STEPS):
        for up in (5.0 + _LINE * step, -_LINE - 3.0 - _LINE * step):
            yield _GAP, up
            yield -_GAP, up


def _around(x: float, y: float) -> Box:
    return (x - 4, y - 4, x + 4, y + 4)


def _box(x: float, y: float, offset: tuple[float, float], name: str) -> Box:
    length = _LETTER * len(name)
    left = x + offset[0] - (length if offset[0] < 0 else 0)
    return (left, y + offset[1], left + length, y + offset[1] + _LINE)


def _cost(box: Box, taken: Sequence[Box], width: float, height: float) -> float:
    """Area that is covered, or lies outside of the picture."""
    within = _overlap(box, (0, 0, width, height))
    outside = (box[2] - box[0]) * (box[3] - box[1]) - within
    return sum(_overlap(box, other) for other in taken) + 2 * max(0.0, outside)


def _overlap(a: Box, b: Box) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    up = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, up)
