from typing import Any

import pytest
from torch import nn
from transformers import AutoModelForSequenceClassification

from modules.parameter_groups import parameter_groups


@pytest.fixture(scope="module")
def network(tiny_model: str) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(tiny_model)


def settings(network: nn.Module, groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The group of each parameter, by the parameter's name."""
    names = {parameter: name for name, parameter in network.named_parameters()}
    return {names[parameter]: group for group in groups for parameter in group["params"]}


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_every_parameter_is_in_exactly_one_group(network: Any, layer_decay: float) -> None:
    groups = parameter_groups(network.named_parameters(), 1e-3, 0.01, layer_decay)
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(members) == sorted(id(parameter) for parameter in network.parameters())
    assert len({group["name"] for group in groups}) == len(groups)


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_only_matrices_decay(network: Any, layer_decay: float) -> None:
    groups = parameter_groups(network.named_parameters(), 1e-3, 0.01, layer_decay)
    for name, group in settings(network, groups).items():
        is_vector = name.endswith("bias") or "LayerNorm" in name
        assert group["weight_decay"] == (0.0 if is_vector else 0.01), name


def test_without_layer_decay_there_are_two_groups_of_one_rate(network: Any) -> None:
    groups = parameter_groups(network.named_parameters(), 3e-4, 0.01)
    assert {group["name"]: group["lr"] for group in groups} == {"decay": 3e-4, "no_decay": 3e-4}


def test_rates_fall_by_one_factor_a_layer_from_the_head_down(network: Any) -> None:
    groups = parameter_groups(network.named_parameters(), 8.0, 0.01, layer_decay=0.5)
    rates = {name: group["lr"] for name, group in settings(network, groups).items()}
    expected = {"classifier": 8, "pooler": 8, "layer.1": 4, "layer.0": 2, "embeddings": 1}
    for name, rate in rates.items():
        (place,) = [place for place in expected if f".{place}." in f".{name}"]
        assert rate == expected[place], name
    names = {group["name"] for group in groups}
    assert names == {
        f"{place}_{kind}"
        for place in ("head", "layer1", "layer0", "embeddings")
        for kind in ("decay", "no_decay")
    }
