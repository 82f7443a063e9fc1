"""A real `Trainer` on the tiny model and the made-up reviews."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from datamodules import TextFilesDataModule
from modules import TextClassifier


class SaveAt(Callback):
    """Saves a checkpoint after an optimizer step."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def write_reviews(folder: Path) -> Path:
    """Write train.csv (24 rows) and validation.csv (10), columns text and label."""
    for name, num_rows in (("train", 24), ("validation", 10)):
        lines = ["text,label"]
        for row in range(num_rows):
            word, label = (("good", "yes"), ("bad", "no"))[row % 2]
            lines.append(f"the film was {'very ' * (row % 5)}{word},{label}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def reviews_data(reviews: Path, **options: Any) -> TextFilesDataModule:
    """24 rows in 6 batches of 4, unless `options` say otherwise."""
    options = {"train_batch_size": 4, "eval_batch_size": 4, **options}
    files = (str(reviews / f"{name}.csv") for name in ("train", "validation"))
    return TextFilesDataModule(*files, **options)


def quiet_trainer(*callbacks: Callback, **options: Any) -> Trainer:
    """A trainer on the CPU that writes nothing."""
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
    }
    return Trainer(**{**defaults, **options}, callbacks=list(callbacks))


def fit(
    tiny_model: str,
    reviews: Path,
    *callbacks: Callback,
    model: TextClassifier | None = None,
    **trainer_options: Any,
) -> Trainer:
    """Fit and return the trainer, which holds the model and the data."""
    trainer = quiet_trainer(*callbacks, **trainer_options)
    model = model or TextClassifier(tiny_model, learning_rate=1e-3)
    trainer.fit(model, datamodule=reviews_data(reviews))
    return trainer
