"""Score a model on the validation set again and again, while it is changed in between."""

from contextlib import nullcontext

from datamodules import TextDataModule
from lightning_app.commands.row_scorer import Precision, RowScorer
from modules.text_classifier import TextClassifier


class ValidationScorer(RowScorer):
    """Scores a model on the validation splits.

    Args:
        model: With its network built, in evaluation mode.
        data: Set up for validation.
        num_rows: Score on at most so many rows a split; None for all.
        seed: Of their choice.
        precision: Of the network's calls.
    """

    def __init__(
        self,
        model: TextClassifier,
        data: TextDataModule,
        num_rows: int | None,
        seed: int,
        precision: Precision = nullcontext,
    ) -> None:
        loaders = (
            data.val_dataloader() if num_rows is None else data.validation_part(num_rows, seed)
        )
        splits = data.split_names("validate")
        super().__init__(model, data.task, dict(zip(splits, loaders, strict=True)), precision)
