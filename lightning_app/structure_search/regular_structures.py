"""Structures of whole layers, or of layers that are all cut to the same share."""

import heapq
from collections.abc import Sequence
from itertools import combinations

from lightning_app.functional.layer_map import even_layers
from lightning_app.structure_search.candidate_search import Chosen
from lightning_app.structure_search.layer_sizes import LayerSizes
from lightning_app.structure_search.structure_space import StructureSpace

_SHARES = tuple(eighths / 8 for eighths in range(8, 1, -1))
_OF_EACH_DEPTH = 4
"""Sets of layers that are dropped, beside the one that leaves evenly spaced layers."""
_MORE = 3
"""Layers among which those that are dropped are chosen, beyond their number."""


def regular_structures(
    space: StructureSpace, limit: float, drop_costs: Sequence[float | None]
) -> list[Chosen]:
    """For each number of layers some sets of them, whole where that is within the limit, else all
    of the largest share of their heads and neurons that is.

    Fewer layers than fit as wholes are left out: they would be smaller, and nothing else.

    Args:
        space: Of all structures.
        limit: Of the price.
        drop_costs: Of leaving out each layer alone; None where it must stay.
    """
    count = len(space.sizes)
    found: list[Chosen] = []
    for num_kept in range(count, 0, -1):
        shares = []
        for kept in _sets(num_kept, drop_costs):
            share = _largest_share(space, limit, kept)
            if share is not None:
                shares.append(share)
                found.append(_chosen(space, kept, share))
        if 1 in shares:
            break
    return found


def _sets(num_kept: int, drop_costs: Sequence[float | None]) -> list[list[int]]:
    """Positions of layers that stay: without the cheapest ones, and evenly spaced."""
    layers = range(len(drop_costs))
    may_go = [layer for layer in layers if drop_costs[layer] is not None]
    num_gone = len(drop_costs) - num_kept
    if num_gone > len(may_go):
        return []

    def cost(gone: Sequence[int]) -> float:
        return sum(drop_costs[layer] or 0.0 for layer in gone)

    cheapest = heapq.nsmallest(num_gone + _MORE, may_go, key=lambda layer: cost([layer]))
    gone = heapq.nsmallest(_OF_EACH_DEPTH, combinations(sorted(cheapest), num_gone), key=cost)
    kept = [[layer for layer in layers if layer not in of] for of in gone]
    even = [layer - 1 for layer in even_layers(num_kept, len(drop_costs))]
    if even not in kept and set(layers) - set(even) <= set(may_go):
        kept.append(even)
    return kept


def _largest_share(space: StructureSpace, limit: float, kept: Sequence[int]) -> float | None:
    within = (share for share in _SHARES if space.price(_chosen(space, kept, share)) <= limit)
    return next(within, None)


def _chosen(space: StructureSpace, kept: Sequence[int], share: float) -> Chosen:
    return [
        _option(sizes, share) if layer in kept else None for layer, sizes in enumerate(space.sizes)
    ]


def _option(sizes: LayerSizes, share: float) -> int:
    """The one with this share of the layer's heads and neurons, or less."""
    heads, width = (_at_most(of, share * of[-1]) for of in (sizes.heads, sizes.widths))
    return sizes.options.index((heads, width))


def _at_most(ascending: Sequence[int], limit: float) -> int:
    return max((size for size in ascending if size <= limit), default=ascending[0])
