import io
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from callbacks import RandomState
from callbacks.random_state import generator_states, set_generator_states


def draws() -> list[Any]:
    return [
        [random.random() for _ in range(3)],
        random.gauss(0, 1),  # keeps a second value for the next call
        np.random.rand(3).tolist(),
        float(np.random.randn()),
        torch.rand(3).tolist(),
        torch.randn(17).tolist(),
    ]


def trainer(world_size: int = 1) -> Any:
    return SimpleNamespace(world_size=world_size, global_rank=0)


def test_draws_after_restoring_are_equal() -> None:
    draws()
    states = generator_states()
    expected = draws()
    assert draws() != expected
    set_generator_states(states)
    assert draws() == expected


def test_states_survive_a_checkpoint_of_plain_values() -> None:
    draws()
    file = io.BytesIO()
    torch.save(RandomState().state_dict(), file)
    expected = draws()
    file.seek(0)
    resumed = RandomState()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    torch.manual_seed(7)  # the set-up of the run draws, too
    resumed.on_train_start(trainer(), None)  # type: ignore[arg-type]
    assert draws() == expected


def test_saving_draws_nothing() -> None:
    states = generator_states()
    expected = draws()
    set_generator_states(states)
    RandomState().state_dict()
    assert draws() == expected


def test_a_state_is_set_once_only() -> None:
    callback = RandomState()
    callback.load_state_dict(callback.state_dict())
    callback.on_train_start(trainer(), None)  # type: ignore[arg-type]
    expected = draws()
    callback.on_train_start(trainer(), None)  # type: ignore[arg-type]
    assert draws() != expected


def test_another_number_of_processes_is_warned_of_and_left_alone() -> None:
    callback = RandomState()
    callback.load_state_dict(callback.state_dict())
    states = generator_states()
    expected = draws()
    set_generator_states(states)
    with pytest.warns(UserWarning, match=r"states of 1 processes, this run has 2"):
        callback.on_train_start(trainer(world_size=2), None)  # type: ignore[arg-type]
    assert draws() == expected
