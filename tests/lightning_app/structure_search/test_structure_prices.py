"""Prices of layers, against the table's predictions and networks that are really so."""

import random
from typing import Any

import pytest

from lightning_app.structure_search.structure_prices import StructurePrices
from modules.architecture import LayerShape
from modules.structure import keep_layers, layer_shapes, remove_heads_and_neurons
from tests.lightning_app.structure_search.test_structure_chooser import TABLE
from tests.modules.test_families import CONFIGS, tiny_network


@pytest.mark.parametrize("length", [8, 11, [8, 16, 9]])
@pytest.mark.parametrize("seed", range(5))
def test_times_add_up_to_the_prediction(length: Any, seed: int) -> None:
    draw = random.Random(seed)
    sizes = [(draw.randint(1, 4), draw.randint(4, 48)) for _ in range(draw.randint(1, 5))]
    prices = StructurePrices.of_time(TABLE.at(length))
    shapes = [LayerShape(tuple(range(heads)), width) for heads, width in sizes]
    expected = TABLE.predict(shapes, length)
    assert prices.total(list(enumerate(sizes))) == pytest.approx(expected, rel=1e-12)


def parameters(network: Any) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_those_of_the_network_then(name: str) -> None:
    network = tiny_network(name)
    prices = StructurePrices.of_parameters(network)
    assert prices.total([(n, (4, 24)) for n in range(3)]) == parameters(network)
    remove_heads_and_neurons(network, [[0], [], [1, 2, 3]], [[1], [], list(range(20))])
    sizes = [(len(shape.heads), shape.intermediate_size) for shape in layer_shapes(network)]
    assert prices.total(list(enumerate(sizes))) == parameters(network)
    # From the smaller network on it is the same.
    again = StructurePrices.of_parameters(network)
    assert again.total(list(enumerate(sizes))) == parameters(network)
    keep_layers(network, [0, 2])
    assert prices.total([(0, sizes[0]), (2, sizes[2])]) == parameters(network)


def test_megabytes_by_hand() -> None:
    network = tiny_network("bert")
    in_floats = StructurePrices.of_size(network, "onnx")
    whole = [(n, (4, 24)) for n in range(3)]
    assert in_floats.total(whole) == pytest.approx(4e-6 * parameters(network))
    in_integers = StructurePrices.of_size(network, "openvino-int8")
    # Half of the heads and neurons: matrices, four bytes for each output twice, two LayerNorms.
    matrices = 4 * 16 * 8 + 2 * 16 * 12
    outputs = 3 * 8 + 12 + 2 * 16
    assert in_integers.layer(1, (2, 12)) == pytest.approx((matrices + 8 * outputs + 256) / 1e6)
    words = 60 + 64 + 2
    pooler_and_head = 16 * 16 + 16 + 16 * 2 + 2
    outside = words * 16 + 4 * words + 4 * (32 + pooler_and_head)
    assert in_integers.fixed == pytest.approx(outside / 1e6)
