from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import GradualUnfreezing
from lightning_app.errors import InputError
from modules import TextClassifier
from tests.tiny_fit import fit

PLACES = ("classifier", "pooler", "layer.1", "layer.0", "embeddings")


class Changes(Callback):
    """The places whose weights changed in each epoch."""

    def __init__(self) -> None:
        self.epochs: list[set[str]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._before = {name: p.detach().clone() for name, p in pl_module.named_parameters()}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        changed = {
            name
            for name, parameter in pl_module.named_parameters()
            if not torch.equal(parameter, self._before[name])
        }
        self.epochs.append({p for p in PLACES if any(f".{p}." in name for name in changed)})


@pytest.mark.parametrize(
    ("options", "last"), [({}, set(PLACES)), ({"freeze_embeddings": True}, set(PLACES[:4]))]
)
def test_one_layer_more_trains_in_each_epoch(
    tiny_model: str, reviews: Path, options: dict[str, Any], last: set[str]
) -> None:
    seen = Changes()
    trainer = fit(tiny_model, reviews, GradualUnfreezing(**options), seen, max_epochs=4)
    assert seen.epochs == [set(PLACES[:2]), set(PLACES[:3]), set(PLACES[:4]), last]
    assert all(p.requires_grad for p in trainer.lightning_module.parameters())


def test_half_epochs_are_allowed(tiny_model: str, reviews: Path) -> None:
    seen = Changes()
    fit(tiny_model, reviews, GradualUnfreezing(epochs_per_layer=0.5), seen, max_epochs=2)
    assert seen.epochs == [set(PLACES[:3]), set(PLACES)]


def test_on_several_devices_frozen_parameters_lose_their_gradient(
    tiny_model: str, reviews: Path
) -> None:
    seen = Changes()

    class AsOnTwoDevices(GradualUnfreezing):
        def _freeze_after(self, unfrozen: int, distributed: bool) -> None:
            super()._freeze_after(unfrozen, distributed=unfrozen < 3)

    trainer = fit(tiny_model, reviews, AsOnTwoDevices(), seen, max_epochs=2)
    assert seen.epochs == [set(PLACES[:2]), set(PLACES[:3])]
    assert all(p.requires_grad for p in trainer.lightning_module.parameters())


def test_stages_by_hand(tiny_model: str, reviews: Path) -> None:
    callback = GradualUnfreezing(epochs_per_layer=0.5)
    model = TextClassifier(tiny_model)
    fit(tiny_model, reviews, callback, model=model, max_steps=1, max_epochs=-1)
    epochs = (0, 0.49, 0.5, 1, 1.49, 1.5, 9)
    assert [callback.unfrozen_stages(epoch) for epoch in epochs] == [0, 0, 1, 2, 2, 3, 3]
    # 3 of 10 batches are three tenths, though 0.3 / 0.1 is below 3.
    callback.epochs_per_layer = 0.1
    assert [callback.unfrozen_stages(batch / 10) for batch in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("epochs", [0, -1.0])
def test_refuses_no_time(epochs: float) -> None:
    with pytest.raises(InputError, match=rf"`epochs_per_layer` to be above 0, got {epochs}"):
        GradualUnfreezing(epochs_per_layer=epochs)
