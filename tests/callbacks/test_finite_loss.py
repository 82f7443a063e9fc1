from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from callbacks import FiniteLoss
from lightning_app.errors import NonFiniteLossError
from modules import TextClassifier
from tests.tiny_fit import fit


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("bad_step", [1, 3])
def test_stops_at_the_bad_step_with_finite_weights(
    tiny_model: str, reviews: Path, bad_step: int, value: float
) -> None:
    model = TextClassifier(tiny_model, learning_rate=1e-3)
    factors = iter([1.0] * (bad_step - 1) + [value])
    model.objective.add("bad", lambda batch, out: out.logits.mean() * next(factors))
    with pytest.raises(NonFiniteLossError, match=rf"at step {bad_step};.*--ckpt_path last"):
        fit(tiny_model, reviews, FiniteLoss(), model=model)
    assert model.trainer.global_step == bad_step - 1
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_a_finite_run_is_let_through(tiny_model: str, reviews: Path) -> None:
    assert fit(tiny_model, reviews, FiniteLoss()).global_step == 6


class MetaLoss:
    """A loss on an accelerator, as far as the callback asks."""

    def __init__(self, value: float) -> None:
        self.value = torch.tensor(value)
        self.device = SimpleNamespace(type="cuda")

    def detach(self) -> torch.Tensor:
        return self.value


def test_on_an_accelerator_the_first_bad_step_is_noted_and_read_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_cpu = {name: getattr(torch, name) for name in ("zeros", "tensor")}
    for name, make in on_cpu.items():
        monkeypatch.setattr(
            torch,
            name,
            lambda *args, make=make, **kw: make(
                *args, **{k: v for k, v in kw.items() if k != "device"}
            ),
        )
    callback, trainer = FiniteLoss(every_n_steps=10), SimpleNamespace(global_step=0)
    arguments: Any = (trainer, None)
    losses = {2: float("nan"), 4: float("inf")}
    for step in range(1, 10):
        callback.on_before_backward(*arguments, MetaLoss(losses.get(step, 1.0)))  # type: ignore[arg-type]
        trainer.global_step = step
        callback.on_train_batch_end(*arguments, None, None, step - 1)
    with pytest.raises(NonFiniteLossError, match="at step 2;"):
        callback.on_save_checkpoint(*arguments, {})
    trainer.global_step = 10
    with pytest.raises(NonFiniteLossError, match="at step 2;"):
        callback.on_train_batch_end(*arguments, None, None, 9)
