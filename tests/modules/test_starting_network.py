"""A fit may begin with the result of an earlier one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_app.errors import InputError
from lightning_app.task import Task
from modules import TextClassifier
from modules.starting_network import starting_network
from tests.end_to_end.command import differences
from tests.tiny_fit import fit

NO_CHANGE = {"hidden_dropout": None, "attention_dropout": None}


@pytest.fixture
def saved(tiny_model: str, reviews: Path, tmp_path: Path) -> tuple[str, TextClassifier]:
    trainer = fit(tiny_model, reviews)
    path = tmp_path / "saved.ckpt"
    trainer.save_checkpoint(path)
    model: Any = trainer.lightning_module
    return str(path), model


def test_weights_head_and_tokenizer_come_along(
    saved: tuple[str, TextClassifier], reviews: Path
) -> None:
    path, before = saved
    assert before.task is not None
    assert before.network is not None
    start = starting_network(path, before.task, NO_CHANGE)
    assert differences(dict(start.network.state_dict()), dict(before.network.state_dict())) == []
    assert start.architecture.history[-1] == {"operation": "continue", "checkpoint": path}
    model = TextClassifier(path)
    assert model.tokenizer.get_vocab() == before.tokenizer.get_vocab()
    fit(path, reviews, model=model)
    assert model.network is not None


def test_other_labels_get_a_new_head(saved: tuple[str, TextClassifier]) -> None:
    path, before = saved
    assert before.task is not None
    assert before.network is not None
    task = Task.from_plain({**before.task.as_plain(), "label_names": ["a", "b", "c"]})
    start = starting_network(path, task, NO_CHANGE)
    old, new = before.network.state_dict(), start.network.state_dict()
    assert new["classifier.weight"].shape == (3, 32)
    same = [name for name in old if not name.startswith("classifier.")]
    assert all(torch.equal(old[name], new[name]) for name in same)


def test_dropout_can_be_changed(saved: tuple[str, TextClassifier]) -> None:
    path, before = saved
    assert before.task is not None
    start = starting_network(path, before.task, {**NO_CHANGE, "hidden_dropout": 0.3})
    assert start.network.config.hidden_dropout_prob == 0.3
    assert start.architecture.config["hidden_dropout_prob"] == 0.3


def test_a_checkpoint_that_is_not_there(reviews: Path) -> None:
    with pytest.raises(InputError, match=r"to be a checkpoint file, got 'no\.ckpt'"):
        fit("no.ckpt", reviews)
