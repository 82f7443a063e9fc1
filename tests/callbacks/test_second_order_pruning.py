"""Second-order pruning by the optimizer's squared gradients."""

from pathlib import Path

import pytest
import torch

from callbacks import SecondOrderPruning, SparsitySchedule
from callbacks.second_order_pruning import squared_gradients
from lightning_app.errors import InputError
from modules import TextClassifier
from tests.tiny_fit import fit


def test_squared_gradients_are_wanted_before_the_first_weights_go(
    tiny_model: str, reviews: Path
) -> None:
    at_once = SecondOrderPruning(0.5, schedule=SparsitySchedule("one_shot", start=0, unit="steps"))
    with pytest.raises(InputError, match="got none at step 0; set a later"):
        fit(tiny_model, reviews, at_once)


def test_squared_gradients_are_those_of_adamw(tiny_model: str, reviews: Path) -> None:
    """After one step, (1 - beta2) times the gradient's square."""
    trainer = fit(tiny_model, reviews, max_steps=1)
    model = trainer.lightning_module
    assert isinstance(model, TextClassifier)
    name, weight = next((n, w) for n, w in model.named_parameters() if n.endswith("query.weight"))
    (optimizer,) = trainer.optimizers
    moment = optimizer.state[weight]["exp_avg"]
    beta1, beta2 = optimizer.defaults["betas"]
    expected = (moment / (1 - beta1)).square() * (1 - beta2)
    torch.testing.assert_close(squared_gradients(trainer, {name: weight})[name], expected)
