"""The best checkpoint is the best of those that are what was asked for."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from callbacks import MagnitudePruning, RunCheckpoint, RunSummary, SparsitySchedule
from callbacks.compression import Compression, is_eligible
from lightning_app.checkpoint import read_glint_checkpoint
from tests.tiny_fit import fit


class From(Compression):
    """Complete from an epoch on."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.now = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.now = trainer.current_epoch

    @property
    def is_complete(self) -> bool:
        return self.now >= self.epoch


class Falling(RunSummary):
    """A score that is best in the first epoch."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("val/falling", 1.0 - trainer.current_epoch / 10)


def test_all_must_be_complete(tiny_model: str, reviews: Path) -> None:
    early, late = From(0), From(9)
    trainer = fit(tiny_model, reviews, early, late)
    assert not is_eligible(trainer)
    late.epoch = 0
    assert is_eligible(trainer)
    assert is_eligible(fit(tiny_model, reviews))


def test_best_is_chosen_among_the_complete(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    checkpoint = RunCheckpoint(monitor="val/falling")
    checkpoint.dirpath = str(tmp_path)
    summary = Falling(monitor="val/falling")
    callbacks: tuple[Any, ...] = (From(1), summary, checkpoint)
    fit(
        tiny_model,
        reviews,
        *callbacks,
        max_epochs=3,
        enable_checkpointing=True,
        default_root_dir=tmp_path,
    )
    assert [entry["compressed"] for entry in summary.history] == [False, True, True]
    assert summary.best["epoch"] == 1
    assert read_glint_checkpoint(tmp_path / "best.ckpt")["epoch"] == 1


def test_metrics_of_masks(tiny_model: str, reviews: Path) -> None:
    schedule = SparsitySchedule(shape="one_shot", start=1, unit="steps")
    callback = MagnitudePruning(sparsity=0.25, schedule=schedule)
    assert callback.metrics() == {}
    fit(tiny_model, reviews, callback)
    metrics = callback.metrics()
    assert metrics["sparsity"] == metrics["mask_churn"] == 0.25
    assert metrics["sparsity/layer.1.output.dense"] == 0.25
