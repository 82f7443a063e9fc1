from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertForSequenceClassification,
    DistilBertConfig,
    MPNetConfig,
)

from modules.features import Features, kind_and_layer


@pytest.fixture
def network(tiny_model: str) -> Any:
    return BertForSequenceClassification.from_pretrained(tiny_model).train()


INPUTS = {
    "input_ids": torch.tensor([[2, 9, 10, 3], [2, 11, 3, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
}


def test_hidden_states_and_projections_are_those_of_the_pass(network: Any) -> None:
    features = Features(network, ["logits", "hidden_0", "hidden_2", "query_1", "value_2"])
    outputs = network(**INPUTS, **features.network_options)
    found = features.of(outputs)
    assert found["logits"] is outputs.logits
    assert torch.equal(found["hidden_2"], outputs.hidden_states[2])
    # hidden_0 is what the first layer's query projects.
    query = network.bert.encoder.layer[0].attention.self.query(found["hidden_0"])
    assert torch.equal(found["query_1"], query)
    assert found["value_2"].shape == (2, 4, 32)
    assert [features.width(n) for n in ("hidden_1", "query_1")] == [32, 32]


def test_without_hidden_states_nothing_is_asked_for(network: Any) -> None:
    assert Features(network, ["logits", "key_1"]).network_options == {}


def test_keeps_training_passes_alone_unless_told(network: Any) -> None:
    seldom, always = Features(network, ["key_1"]), Features(network, ["key_1"], always=True)
    outputs = network.eval()(**INPUTS)
    assert always.of(outputs)["key_1"].shape == (2, 4, 32)
    with pytest.raises(KeyError, match="key_1"):
        seldom.of(outputs)


def test_lets_go(network: Any) -> None:
    features = Features(network, ["key_1"])
    network(**INPUTS)
    features.clear()
    with pytest.raises(KeyError, match="key_1"):
        features.of(None)
    features.remove()
    network(**INPUTS)
    assert not features._kept


@pytest.mark.parametrize(
    "config",
    [
        DistilBertConfig(vocab_size=50, dim=16, n_layers=1, n_heads=2, hidden_dim=16),
        MPNetConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16,
        ),
    ],
    ids=["distilbert", "mpnet"],
)  # fmt: skip
def test_other_families(config: Any) -> None:
    network = AutoModelForSequenceClassification.from_config(config).train()
    features = Features(network, ["hidden_1", "query_1", "key_1", "value_1"])
    found = features.of(network(**INPUTS, **features.network_options))
    assert {t.shape for t in found.values()} == {torch.Size((2, 4, 16))}


def test_names() -> None:
    assert kind_and_layer("hidden_12") == ("hidden", 12)
    assert kind_and_layer("logits") == ("logits", 0)
