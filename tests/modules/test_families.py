import copy
from typing import Any

import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from lightning_app.errors import InputError
from modules.families import FAMILIES, layer_parts, layout_of

SMALL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
CONFIGS = {
    "bert": BertConfig(**SMALL),
    "roberta": RobertaConfig(**SMALL),
    "xlm-roberta": XLMRobertaConfig(**SMALL),
    "camembert": CamembertConfig(**SMALL),
    "electra": ElectraConfig(**SMALL, embedding_size=8),
    "distilbert": DistilBertConfig(
        vocab_size=60, dim=16, n_layers=3, n_heads=4, hidden_dim=24, max_position_embeddings=64
    ),
    "mpnet": MPNetConfig(**SMALL),
}
"""A tiny configuration of each family whose structure can be pruned."""

IDS = torch.arange(5, 32).view(3, 9)
MASK = torch.ones_like(IDS)
MASK[1, 6:] = 0


def tiny_network(name: str, **changes: Any) -> Any:
    """A network with weights far enough from each other that what is missing shows."""
    config = copy.deepcopy(CONFIGS[name])
    for key, value in changes.items():
        setattr(config, key, value)
    torch.manual_seed(0)
    network = AutoModelForSequenceClassification.from_config(config)
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    return network


@torch.no_grad()
def logits_of(network: Any) -> torch.Tensor:
    logits: torch.Tensor = network.eval()(IDS, attention_mask=MASK).logits
    return logits


def test_each_family_has_its_test() -> None:
    assert set(CONFIGS) == set(FAMILIES)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_names_lead_to_the_parts(name: str) -> None:
    network = tiny_network(name)
    layers = layer_parts(network)
    assert len(layers) == 3
    for parts in layers:
        linears = (parts.query, parts.key, parts.value, parts.attention_output)
        assert len({*linears, parts.intermediate, parts.output}) == 6
        assert {tuple(linear.weight.shape) for linear in linears} == {(16, 16)}
        assert parts.intermediate.weight.shape == (24, 16)
        assert parts.output.weight.shape == (16, 24)
        assert (parts.head_size, parts.num_heads, parts.intermediate_size) == (4, 4, 24)
        assert parts.heads == (0, 1, 2, 3)
    config, layout = network.config.to_dict(), layout_of(network)
    sizes = (layout.num_layers_key, layout.num_heads_key, layout.intermediate_size_key)
    assert [config[key] for key in sizes] == [3, 4, 24]


@pytest.mark.parametrize("name", CONFIGS)
def test_resized_layers_count_what_they_have(name: str) -> None:
    network = tiny_network(name)
    parts = layer_parts(network)[1]
    parts.query.weight.requires_grad_(False)
    parts.resize((1, 3), 5)
    assert (parts.num_heads, parts.heads, parts.intermediate_size) == (2, (1, 3), 5)
    assert parts.query.weight.shape == parts.key.weight.shape == parts.value.weight.shape == (8, 16)
    assert parts.attention_output.weight.shape == (16, 8)
    assert (parts.output.in_features, parts.output.out_features) == (5, 16)
    assert not parts.query.weight.requires_grad
    assert parts.key.weight.requires_grad
    assert logits_of(network).isfinite().all()


def test_families_that_cannot_be_pruned_are_refused_with_those_that_can() -> None:
    albert = AutoModelForSequenceClassification.from_config(AlbertConfig(**SMALL, embedding_size=8))
    with pytest.raises(InputError, match=r"\(bert, .*mpnet\), got 'albert', whose layers share"):
        layer_parts(albert)
    deberta = AutoModelForSequenceClassification.from_config(DebertaV2Config(**SMALL))
    with pytest.raises(InputError, match=r"\(bert, .*mpnet\), got 'deberta-v2'; choose another"):
        layout_of(deberta)


def test_mpnet_adds_the_position_bias_of_the_heads_that_it_keeps() -> None:
    network = tiny_network("mpnet")
    parts = layer_parts(network)[0]
    parts.set_heads((0, 2))
    parts.set_heads((2,))  # the hook is there once
    assert len(parts.attention._forward_pre_hooks) == 1
    hook = next(iter(parts.attention._forward_pre_hooks.values()))
    bias = torch.arange(4.0).view(1, 4, 1, 1).expand(2, 4, 3, 3)
    hidden, mask, kept = hook(parts.attention, (torch.zeros(2, 3, 16), None, bias))
    assert (hidden.shape, mask, kept.shape) == ((2, 3, 16), None, (2, 1, 3, 3))
    assert (kept == 2).all()


def test_a_copy_keeps_its_own_heads() -> None:
    network = tiny_network("mpnet")
    layer_parts(network)[0].resize((0, 2), 24)
    twin = copy.deepcopy(network)
    layer_parts(network)[0].resize((0,), 24)
    assert layer_parts(twin)[0].heads == (0, 2)
    assert logits_of(twin).isfinite().all()
