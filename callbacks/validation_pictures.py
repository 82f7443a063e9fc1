"""After each validation: a picture of the errors, and the worst of them as text."""

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from lightning_app.errors import InputError
from lightning_app.functional.losses import task_losses
from lightning_app.task import Task
from modules.metrics import predicted
from modules.text_classifier import TextClassifier

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CLASSES = 30
"""A confusion matrix of more classes cannot be read."""


class ValidationPictures(Callback):
    """Writes to TensorBoard a confusion matrix, or a scatter plot for regression, and the
    validation rows with the highest loss, with their text.

    Args:
        num_mistakes: How many rows are shown as text, 0 for none.
    """

    def __init__(self, num_mistakes: int = 10) -> None:
        if num_mistakes < 0:
            raise InputError(f"Expected `num_mistakes` to be at least 0, got {num_mistakes}.")
        self.num_mistakes = num_mistakes

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, on the first process."""
        logger = trainer.logger
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if not isinstance(logger, TensorBoardLogger) or not isinstance(pl_module, TextClassifier):
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        splits = data.split_names("validate")
        for number, (split, metrics) in enumerate(
            zip(splits, pl_module.validation_metrics, strict=False)
        ):
            name = "val" if number == 0 else f"val_{split.rpartition('_')[2]}"
            index, logits, labels = (rows.cpu() for rows in metrics.computed_rows)
            picture = _picture(logits, labels, metrics.task)
            # As the training log counts: a resumed run discards what has the checkpoint's step.
            step = max(trainer.global_step - 1, 0)
            if picture is not None:
                logger.experiment.add_figure(f"{name}/errors", picture, step)
            if self.num_mistakes:
                rows = worst_rows(logits, labels, metrics.task, self.num_mistakes)
                text = _table(data.raw_split(split), index, logits, labels, rows, metrics.task)
                logger.experiment.add_text(f"{name}/most confident mistakes", text, step)


def worst_rows(logits: Tensor, labels: Tensor, task: Task, count: int) -> list[int]:
    """Places of the wrong rows with the highest loss, the worst first.

    Args:
        logits: ``[rows, num_labels]``.
        labels: ``[rows]``, or ``[rows, num_labels]`` with several labels a row.
        task: Says what is wrong; for regression every row counts.
        count: At most so many.
    """
    losses = task_losses(logits, labels, task.problem_type)
    if task.problem_type != "regression":
        wrong = predicted(logits, task) != labels.long()
        wrong = wrong if wrong.ndim == 1 else wrong.any(dim=-1)
        losses = torch.where(wrong, losses, torch.full_like(losses, -1.0))
    places = losses.argsort(descending=True)[:count].tolist()
    return [place for place in places if losses[place] >= 0]


def confusion_counts(logits: Tensor, labels: Tensor, num_labels: int) -> Tensor:
    """Rows by true (first axis) and predicted label, ``[num_labels, num_labels]``."""
    pairs = labels.long() * num_labels + logits.argmax(dim=-1)
    return torch.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)


def _picture(logits: Tensor, labels: Tensor, task: Task) -> "Figure | None":
    if task.problem_type == "regression":
        return _scatter(logits.squeeze(-1), labels)
    if task.problem_type == "multi_label_classification" or task.num_labels > MAX_CLASSES:
        return None
    return _confusion_matrix(confusion_counts(logits, labels, task.num_labels), task.label_names)


def _scatter(values: Tensor, labels: Tensor) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(labels.numpy(), values.numpy(), s=8, alpha=0.4)
    low, high = float(labels.min()), float(labels.max())
    axes.plot([low, high], [low, high], color="grey", linewidth=1)
    axes.set(xlabel="label", ylabel="prediction", title="Predictions against labels")
    return figure


def _confusion_matrix(counts: Tensor, names: tuple[str, ...]) -> "Figure":
    from matplotlib.figure import Figure

    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    side = 3 + 0.6 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    for true in range(len(names)):
        for guess in range(len(names)):
            share = float(shares[true, guess])
            text = f"{int(counts[true, guess])}\n{share:.0%}"
            colour = "white" if share > 0.5 else "black"
            axes.text(guess, true, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="label", title="Confusion matrix")
    return figure


def _table(
    raw: Any, index: Tensor, logits: Tensor, labels: Tensor, rows: list[int], task: Task
) -> str:
    lines = ["| row | text | label | prediction |", "| --- | --- | --- | --- |"]
    for row in rows:
        source = raw[int(index[row])]
        text = " ‖ ".join(str(source[column]) for column in task.text_columns)
        text = text.replace("|", "\\|").replace("\n", " ")
        label, guess = _in_words(labels[row], logits[row], task)
        lines.append(f"| {int(index[row])} | {text} | {label} | {guess} |")
    return "\n".join(lines)


def _in_words(label: Tensor, logits: Tensor, task: Task) -> tuple[str, str]:
    if task.problem_type == "regression":
        return f"{float(label):.2f}", f"{float(logits[0]):.2f}"
    if task.problem_type == "multi_label_classification":
        chosen = [n for n, yes in zip(task.label_names, label > 0.5, strict=True) if yes]
        guessed = [n for n, yes in zip(task.label_names, logits > 0, strict=True) if yes]
        return ", ".join(chosen), ", ".join(guessed)
    share, guess = logits.softmax(-1).max(-1)
    return task.label_names[int(label)], f"{task.label_names[int(guess)]} ({float(share):.0%})"
