"""Whole layers, or all cut alike, within a limit."""

import pytest

from lightning_app.structure_search.layer_sizes import LayerSizes
from lightning_app.structure_search.regular_structures import regular_structures
from lightning_app.structure_search.structure_prices import StructurePrices
from lightning_app.structure_search.structure_space import StructureSpace
from modules.architecture import LayerShape

HEADS, WIDTHS = (1, 2, 3, 4), (16, 32, 48, 64)
COSTS = (5.0, 1.0, 3.0, 2.0, 4.0, 9.0)


def space(drop_layers: bool = True) -> StructureSpace:
    """Six layers; a head costs 2, a neuron 1/8, so a whole layer 16."""
    prices = StructurePrices(
        4.0, lambda _, s: 2.0 * s[0] + s[1] / 8, lambda _, s: 2.0 * s[0] + s[1] / 8
    )
    sizes = LayerSizes(LayerShape((0, 1, 2, 3), 64), HEADS, WIDTHS, (0, 1, 2, 3), tuple(range(64)))
    return StructureSpace([sizes] * 6, prices, drop_layers)


def kept(of: StructureSpace, chosen: list[int | None]) -> tuple[int, ...]:
    return tuple(layer for layer, _ in of.kept(chosen))


def test_whole_layers_where_they_fit_and_no_fewer() -> None:
    of = space()
    found = regular_structures(of, 4 + 3 * 16, COSTS)
    whole = [chosen for chosen in found if of.price(chosen) == 52]
    assert kept(of, whole[-1]) == (1, 3, 5)  # evenly spaced
    # Of those that go (1, 2, 3 and the two dearer of the six that may) the cheapest first.
    assert kept(of, next(c for c in found if len(kept(of, c)) == 3)) == (0, 4, 5)
    assert min(len(kept(of, chosen)) for chosen in found) == 3
    assert max(of.price(chosen) for chosen in found) <= 52


def test_more_layers_are_cut_to_one_share() -> None:
    of = space()
    for chosen in regular_structures(of, 4 + 3 * 16, COSTS):
        sizes = {size for _, size in of.kept(chosen)}
        assert len(sizes) == 1
    of_six = [c for c in regular_structures(of, 4 + 3 * 16, COSTS) if len(kept(of, c)) == 6]
    assert [of.kept(chosen)[0][1] for chosen in of_six] == [(2, 32)]


def test_layers_that_must_stay_stay() -> None:
    of = space(drop_layers=False)
    found = regular_structures(of, 4 + 3 * 16, [None] * 6)
    assert [len(kept(of, chosen)) for chosen in found] == [6]
    assert regular_structures(of, 10.0, [None] * 6) == []


@pytest.mark.parametrize("limit", [30.0, 60.0, 90.0])
def test_none_twice(limit: float) -> None:
    found = [tuple(chosen) for chosen in regular_structures(space(), limit, COSTS)]
    assert found
    assert len(set(found)) == len(found)
