import copy
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from lightning_app.errors import InputError
from modules.reinitialization import encoder_layers, reinitialize_top_layers


@pytest.fixture
def network(tiny_model: str) -> Any:
    network = AutoModelForSequenceClassification.from_pretrained(tiny_model)
    with torch.no_grad():
        for parameter in network.parameters():  # so that nothing is at its initial value
            parameter.add_(1.0)
    return network


def changed(before: Any, after: Any) -> set[str]:
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    return {name for (name, old), new in pairs if not torch.equal(old, new)}


@pytest.mark.parametrize("num_layers", [1, 2])
def test_changes_exactly_the_top_layers_and_the_pooler(network: Any, num_layers: int) -> None:
    before = copy.deepcopy(network)
    reinitialize_top_layers(network, num_layers)
    places = ["pooler", *(f"layer.{i}." for i in range(2 - num_layers, 2))]
    names = {name for name, _ in network.named_parameters()}
    assert changed(before, network) == {n for n in names if any(p in n for p in places)}


def test_values_are_those_of_a_fresh_layer(network: Any) -> None:
    network.config.initializer_range = 0.5
    reinitialize_top_layers(network, 1)
    layer = encoder_layers(network)[1]
    norm, matrix = layer.output.LayerNorm, layer.intermediate.dense
    assert torch.equal(norm.weight, torch.ones(32))
    assert torch.equal(norm.bias, torch.zeros(32))
    assert torch.equal(matrix.bias, torch.zeros(48))
    # 1536 draws: the standard error of the deviation is 0.5 / sqrt(3072) = 0.009.
    assert matrix.weight.std().item() == pytest.approx(0.5, abs=0.04)
    assert matrix.weight.mean().item() == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize("num_layers", [-1, 0, 3])
def test_refuses_layers_that_are_not_there(network: Any, num_layers: int) -> None:
    with pytest.raises(InputError, match=rf"in \[1, 2\], got {num_layers}"):
        reinitialize_top_layers(network, num_layers)


def test_layers_are_found_bottom_first(network: Any) -> None:
    layers = encoder_layers(network)
    assert layers[0] is network.bert.encoder.layer[0]
    assert len(layers) == 2


def test_a_network_without_such_a_list_is_refused(network: Any) -> None:
    network.config = BertConfig(num_hidden_layers=5)
    with pytest.raises(InputError, match="a list of 5 layers in the network, but a bert model"):
        encoder_layers(network)
