from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.demos.boring_classes import BoringModel

from lightning_app.commands.command_trainer import CommandTrainer
from lightning_app.commands.quantize import Quantize
from lightning_app.commands.sensitivity import Sensitivity
from lightning_app.errors import InputError
from modules import TextClassifier
from tests.tiny_fit import fit, quiet_trainer, reviews_data

OPTIONS: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_the_checkpoint_is_scored_in_the_trainers_precision(
    precision: Any, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    checkpoint = str(tmp_path / "saved.ckpt")
    fit(tiny_model, reviews).save_checkpoint(checkpoint)
    expected = quiet_trainer(precision=precision).validate(
        TextClassifier(tiny_model), datamodule=reviews_data(reviews), ckpt_path=checkpoint
    )
    trainer = CommandTrainer(**OPTIONS, precision=precision)
    result = trainer.sensitivity(
        TextClassifier(tiny_model),
        reviews_data(reviews),
        Sensitivity((0.5,), num_samples=8),
        ckpt_path=checkpoint,
    )
    assert result.score == pytest.approx(expected[0]["val/score"], abs=1e-6)
    assert result.loss == pytest.approx(expected[0]["val/loss"], abs=1e-6)
    assert len(result.measurements) == 16


def test_more_than_one_device_is_refused(tiny_model: str, reviews: Path) -> None:
    trainer = CommandTrainer(**{**OPTIONS, "devices": 2, "strategy": "ddp"})
    with pytest.raises(InputError, match=r"one device for `glint sensitivity`, got 2; set"):
        trainer.sensitivity(TextClassifier(tiny_model), reviews_data(reviews), Sensitivity())


def test_more_than_one_device_is_refused_to_quantize(tiny_model: str, reviews: Path) -> None:
    trainer = CommandTrainer(**{**OPTIONS, "devices": 2, "strategy": "ddp"})
    with pytest.raises(InputError, match=r"one device for `glint quantize`, got 2; set"):
        trainer.quantize(TextClassifier(tiny_model), reviews_data(reviews), Quantize())


def test_other_modules_are_refused(reviews: Path) -> None:
    with pytest.raises(InputError, match=r"a `TextClassifier` and a Glint data module, got Boring"):
        CommandTrainer(**OPTIONS).sensitivity(BoringModel(), reviews_data(reviews), Sensitivity())
