from typing import Any

import pytest

from lightning_app.errors import InputError
from lightning_app.search.keys import check_known, flat, of_options, set_key
from lightning_app.search.subject import with_values

CONFIG: dict[str, Any] = {
    "model": {"learning_rate": 1e-4, "structure": None},
    "data": {"class_path": "datamodules.GLUEDataModule", "init_args": {"train_batch_size": 8}},
    "trainer": {
        "max_epochs": 3,
        "callbacks": [
            {"class_path": "callbacks.LearningRateSchedule", "init_args": {"shape": "linear"}},
            {"class_path": "callbacks.Distillation"},
        ],
    },
}


def test_each_kind_of_key_is_set_where_a_fit_reads_it() -> None:
    values = {
        "model.structure.num_layers": 4,
        "data.train_batch_size": 32,
        "trainer.max_epochs": 5,
        "callbacks.Distillation.temperature": 2.0,
        "callbacks.LearningRateSchedule.shape": "cosine",
    }
    changed = with_values(CONFIG, values)
    assert changed["model"] == {"learning_rate": 1e-4, "structure": {"num_layers": 4}}
    assert changed["data"]["init_args"] == {"train_batch_size": 32}
    assert changed["trainer"]["max_epochs"] == 5
    assert [c["init_args"] for c in changed["trainer"]["callbacks"]] == [
        {"shape": "cosine"},
        {"temperature": 2.0},
    ]
    assert CONFIG["data"]["init_args"] == {"train_batch_size": 8}  # untouched


def test_flat_keys_are_those_that_can_be_set() -> None:
    assert flat(CONFIG) == {
        "model.learning_rate": 1e-4,
        "model.structure": None,
        "data.class_path": "datamodules.GLUEDataModule",
        "data.train_batch_size": 8,
        "trainer.max_epochs": 3,
        "callbacks.LearningRateSchedule.shape": "linear",
    }


def test_an_unknown_key_names_those_that_are_near() -> None:
    known = flat(CONFIG)
    check_known("trainer.max_epochs", known)
    check_known("model.structure.num_layers", known)  # not set: the parser knows more
    with pytest.raises(InputError, match=r"got 'model.learning_rat'; near it are model.learning_r"):
        check_known("model.learning_rat", known)
    with pytest.raises(InputError, match=r"near it are .*data.train_batch_size"):
        check_known("trainer.train_batch_size", known)


def test_a_callback_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"of the configuration \(LearningRateSchedule, D"):
        set_key(CONFIG, "callbacks.MagnitudePruning.sparsity", 0.5)


def test_options_of_a_fit_become_its_configuration() -> None:
    options = ["--data.dataset=embedded", "--trainer.max_epochs=2", "--seed_everything=7"]
    assert of_options(options) == {
        "data": {"init_args": {"dataset": "embedded"}},
        "trainer": {"max_epochs": 2},
        "seed_everything": 7,
    }
