"""Which layer of a teacher teaches which layer of a student; layers count from 1."""

from collections.abc import Sequence

import torch
from torch import Tensor


def even_layers(num_student_layers: int, num_teacher_layers: int) -> list[int]:
    """For each student layer a teacher layer, evenly spaced, the last for the last.

    The ``g(m) = 3 * m`` of TinyBERT's 4 layers of 12 (Jiao et al. 2020, arXiv:1909.10351,
    section 4.2), for any counts.

    Args:
        num_student_layers: At least 1.
        num_teacher_layers: At least 1; fewer than the student's serve several student layers.

    Returns:
        Teacher layers in [1, ``num_teacher_layers``], ascending.
    """
    step = num_teacher_layers / num_student_layers
    return [max(1, round(step * (layer + 1))) for layer in range(num_student_layers)]


def last_layers(num_student_layers: int, num_teacher_layers: int) -> list[int]:
    """For each student layer a teacher layer: the teacher's topmost ones.

    Args:
        num_student_layers: At least 1.
        num_teacher_layers: At least as many.

    Returns:
        Teacher layers in [1, ``num_teacher_layers``], ascending.

    Raises:
        ValueError: If the teacher has fewer layers.
    """
    if num_teacher_layers < num_student_layers:
        raise ValueError(
            f"Expected `num_teacher_layers` to be at least {num_student_layers}, got"
            f" {num_teacher_layers}."
        )
    first = num_teacher_layers - num_student_layers + 1
    return list(range(first, num_teacher_layers + 1))


def kept_layers(steps: Sequence[Sequence[int]], num_teacher_layers: int) -> list[int] | None:
    """For each layer of a student that was cut from its teacher the layer that it was; the last is
    taught by the last, as it gives the answer.

    Args:
        steps: Each time that layers were dropped, the positions from 0 of those that stayed, among
            the layers before it; oldest first. The teacher is the network before all of them, or
            after the last one that left as many layers as it has.
        num_teacher_layers: At least 1.

    Returns:
        Teacher layers in [1, ``num_teacher_layers``], ascending; None where the student cannot
        have been cut from this teacher.
    """
    sizes = [num_teacher_layers, *map(len, steps)]
    start = max(n for n, size in enumerate(sizes) if size == num_teacher_layers)
    layers = list(range(1, num_teacher_layers + 1))
    for stayed in steps[start:]:
        if max(stayed) >= len(layers):
            return None
        layers = [layers[position] for position in stayed]
    return [*layers[:-1], num_teacher_layers]


def nearest_in_order(distances: Tensor) -> list[int]:
    """For each teacher layer a student layer, nearest in total without crossing.

    CoFi (Xia et al. 2022, arXiv:2204.00408, section 3.2) lets each teacher layer choose the
    nearest student layer; as in its code, a higher teacher layer must not choose a lower student
    layer. Of all such choices the one of least total distance is taken, by dynamic programming.

    Args:
        distances: ``[teacher layers, student layers]``.

    Returns:
        Positions of student layers from 0, not descending.
    """
    total = distances[0].tolist()
    choices: list[list[int]] = []
    for row in distances[1:].tolist():
        best = _prefix_argmin(total)
        choices.append(best)
        total = [total[best[j]] + distance for j, distance in enumerate(row)]
    matches = [int(torch.tensor(total).argmin())]
    for best in reversed(choices):
        matches.append(best[matches[-1]])
    return matches[::-1]


def _prefix_argmin(values: list[float]) -> list[int]:
    """Position of the least of the first j + 1 values, for each j."""
    best = [0]
    for position in range(1, len(values)):
        best.append(position if values[position] < values[best[-1]] else best[-1])
    return best
