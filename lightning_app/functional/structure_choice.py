"""Which heads and neurons go, given their importance and a target that is met exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Positions = list[list[int]]
"""For each layer, which of its structures."""


def least_important_by_layer(
    importance: Sequence[Tensor], share: float | Sequence[float]
) -> Positions:
    """The least important structures of each layer, ``round(share * count)`` of them.

    Args:
        importance: For each layer ``[structures]``.
        share: In [0, 1); one for all layers, or one for each.
    """
    shares = [share] * len(importance) if isinstance(share, int | float) else share
    return [
        _lowest(layer, round(of_layer * len(layer)))
        for layer, of_layer in zip(importance, shares, strict=True)
    ]


def least_important_globally(importance: Sequence[Tensor], share: float) -> Positions:
    """The least important structures of all layers, ``round(share * total)`` of them.

    The most important one of each layer always stays.

    Args:
        importance: For each layer ``[structures]``, comparable between layers.
        share: In [0, 1).
    """
    return cheapest_to_remove([Structures(importance, 1.0)], share * sum(map(len, importance)))[0]


@dataclass(frozen=True)
class Structures:
    """All structures of one kind.

    Args:
        importance: For each layer ``[structures]``.
        cost: Of one structure, in parameters or FLOPs.
    """

    importance: Sequence[Tensor]
    cost: float


def cheapest_to_remove(kinds: Sequence[Structures], cost: float) -> list[Positions]:
    """Structures with the least importance for their cost, until ``cost`` is removed.

    What is removed in the end costs at least ``cost`` and less than one of the cheapest
    structures more, unless fewer can go: one of each kind and layer always stays.

    Args:
        kinds: Heads and neurons, say; importance must be comparable among them.
        cost: To be removed.

    Returns:
        For each kind and layer the positions to remove, ascending.

    Raises:
        ValueError: If even with all but one of each kind and layer removed the cost is not.
    """
    candidates = sorted(
        (candidate for number, kind in enumerate(kinds) for candidate in _candidates(number, kind)),
        key=lambda candidate: candidate[0],
    )
    possible = sum(kinds[number].cost for _, number, _, _ in candidates)
    # 1e-9: shares of a total do not come out even in floating point.
    needed = cost * (1 - 1e-9)
    if needed > possible:
        raise ValueError(
            f"Expected a target that leaves one head and one neuron in each layer, but {cost:g} is"
            f" to be removed and only {possible:g} can be; ask for less."
        )
    return _remove(kinds, candidates, needed)


def _candidates(number: int, kind: Structures) -> list[tuple[float, int, int, int]]:
    """Importance for the cost, kind, layer and position of all that may go."""
    found = []
    for layer, importance in enumerate(kind.importance):
        best = int(importance.argmax())
        found += [
            (value / kind.cost, number, layer, position)
            for position, value in enumerate(importance.tolist())
            if position != best
        ]
    return found


def _remove(
    kinds: Sequence[Structures], candidates: list[tuple[float, int, int, int]], needed: float
) -> list[Positions]:
    taken = _fill(kinds, candidates, needed)
    removed: list[Positions] = [[[] for _ in kind.importance] for kind in kinds]
    for _, number, layer, position in taken:
        removed[number][layer].append(position)
    return [[sorted(layer) for layer in kind] for kind in removed]


def _fill(
    kinds: Sequence[Structures], candidates: list[tuple[float, int, int, int]], needed: float
) -> list[tuple[float, int, int, int]]:
    """Candidates in their order, without those that would overshoot by a cheap one or more."""
    cheapest = min(kind.cost for kind in kinds)
    taken, passed_over, total = [], [], 0.0
    for candidate in candidates:
        cost = kinds[candidate[1]].cost
        if total >= needed:
            break
        if total + cost < needed + cheapest:
            taken.append(candidate)
            total += cost
        else:
            passed_over.append(candidate)
    if total >= needed:
        return taken
    # Too few cheap ones are left: a dear one goes after all, and cheap ones come back for it.
    taken.append(passed_over[0])
    total += kinds[passed_over[0][1]].cost
    for candidate in reversed(taken[:-1]):
        if total - kinds[candidate[1]].cost >= needed:
            total -= kinds[candidate[1]].cost
            taken.remove(candidate)
    return taken


def _lowest(importance: Tensor, count: int) -> list[int]:
    order = torch.argsort(importance, stable=True)
    return sorted(order[:count].tolist())
