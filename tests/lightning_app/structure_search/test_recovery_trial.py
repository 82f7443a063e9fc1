"""A short training of a smaller copy: it learns, and nothing else changes."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules import TextDataModule
from lightning_app.structure_search.recovery_trial import RecoveryTrial
from lightning_app.structure_search.structure_choice import LayerChoice
from modules import TextClassifier
from modules.architecture import LayerShape
from modules.families import layer_parts
from modules.network_inputs import network_inputs
from modules.structure import layer_shapes
from tests.end_to_end.command import differences
from tests.tiny_fit import reviews_data


@pytest.fixture
def data(reviews: Path, tiny_model: str) -> TextDataModule:
    found = reviews_data(reviews, tokenizer=tiny_model)
    found.setup("fit")
    return found


@pytest.fixture
def model(tiny_model: str, data: TextDataModule) -> TextClassifier:
    """With answers that differ between rows."""
    torch.manual_seed(1)
    found = TextClassifier(tiny_model, hidden_dropout=0.0, attention_dropout=0.0)
    found.build(data.task)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return found.eval()


def batches(data: TextDataModule) -> list[dict[str, Tensor]]:
    return [dict(network_inputs(batch)) for batch in data.calibration_loader(24, 4, 0)]


def without_neurons(model: TextClassifier) -> list[LayerChoice]:
    assert model.network is not None
    gone = tuple(range(1, layer_parts(model.network)[0].intermediate_size))
    return [
        LayerChoice(number, (), gone, LayerShape(shape.heads, 1))
        for number, shape in enumerate(layer_shapes(model.network))
    ]


def loss(model: TextClassifier, data: TextDataModule, epochs: int, steps: int) -> float:
    of_data = batches(data)
    trial = RecoveryTrial(model, of_data * epochs, of_data, seed=3)
    return trial.loss(without_neurons(model), steps, lambda: None)


def test_what_was_lost_is_learned_again(model: TextClassifier, data: TextDataModule) -> None:
    few, many = loss(model, data, 40, 1), loss(model, data, 40, 240)
    assert 0 < many < 0.5 * few


def test_the_model_and_the_random_state_are_as_they_were(
    model: TextClassifier, data: TextDataModule
) -> None:
    before, record = copy.deepcopy(model.state_dict()), model.architecture
    state = torch.get_rng_state()
    first = loss(model, data, 2, 6)
    assert loss(model, data, 2, 6) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert differences(before, model.state_dict()) == []
    assert model.architecture == record
    assert all(p.grad is None for p in model.parameters())


def test_each_step_is_told(model: TextClassifier, data: TextDataModule) -> None:
    seen: list[Any] = []
    of_data = batches(data)
    trial = RecoveryTrial(model, of_data, of_data, seed=3)
    trial.loss(without_neurons(model), 4, lambda: seen.append(1))
    assert (len(seen), trial.num_steps) == (4, 6)
