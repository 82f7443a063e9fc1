"""Prediction files: GLUE's submission format, or a table for a user's own files."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from datamodules.glue import GLUEDataModule
from lightning_app.task import Task
from modules.metrics import predicted
from modules.text_classifier import TextClassifier


class PredictionWriter(Callback):
    """Writes one tab-separated file a predicted split at the end of `glint predict`.

    For GLUE its name and content are what https://gluebenchmark.com/submit takes: ``index`` and
    ``prediction``, words for mnli, qnli, rte and ax, a score in [0, 5] for stsb, class numbers
    for the rest. For a user's own files ``predictions.tsv`` has ``index``, ``prediction`` and the
    score of each label.

    Args:
        output_dir: Folder; by default ``predictions`` in the folder of the checkpoint's run.
    """

    def __init__(self, output_dir: str | None = None) -> None:
        self.output_dir = output_dir
        self.written: list[Path] = []
        self._outputs: dict[int, list[dict[str, Tensor]]] = {}

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier prediction."""
        self._outputs, self.written = {}, []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the batch's logits."""
        kept = {name: value.cpu() for name, value in outputs.items()}
        self._outputs.setdefault(dataloader_idx, []).append(kept)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Collect from all processes, and write on the first."""
        assert isinstance(pl_module, TextClassifier)
        assert pl_module.task is not None
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        for number, split in enumerate(data.split_names("predict")):
            logits = self._in_order(number)
            if trainer.is_global_zero:
                name, text = _file(data, split, logits, pl_module.task)
                self._write(self._folder(trainer) / name, text)

    def _in_order(self, loader: int) -> Tensor:
        parts = _gather(self._outputs.get(loader, []))
        index = torch.cat([part["index"] for part in parts])
        return torch.cat([part["logits"] for part in parts])[index.argsort()]

    def _folder(self, trainer: Trainer) -> Path:
        if self.output_dir is not None:
            return Path(self.output_dir)
        checkpoint = trainer.ckpt_path
        if checkpoint is not None and Path(checkpoint).parent.name == "checkpoints":
            return Path(checkpoint).parents[1] / "predictions"
        return Path("predictions")

    def _write(self, target: Path, text: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(target.name + ".unfinished")
        unfinished.write_text(text, "utf-8")
        unfinished.replace(target)
        self.written.append(target)
        rank_zero_info(f"Predictions written to {target}")


def submission_lines(logits: Tensor, task: Task, answer: str) -> list[str]:
    """Lines of a GLUE submission file, header first.

    Args:
        logits: ``[rows, num_labels]``, in the order of the split.
        task: Gives the label names.
        answer: ``index``, ``word`` or ``score``.
    """
    if answer == "score":
        answers = [f"{value:.3f}" for value in logits.squeeze(-1).clamp(0, 5).tolist()]
    else:
        classes = logits.argmax(dim=-1).tolist()
        answers = [task.label_names[c] if answer == "word" else str(c) for c in classes]
    return ["index\tprediction", *(f"{i}\t{a}" for i, a in enumerate(answers))]


def _file(data: Any, split: str, logits: Tensor, task: Task) -> tuple[str, str]:
    if isinstance(data, GLUEDataModule):
        lines = submission_lines(logits, data.task, data.glue.answer)
        return data.glue.submission_files[split], "\n".join(lines) + "\n"
    return "predictions.tsv", "\n".join(_own_lines(logits, task)) + "\n"


def _own_lines(logits: Tensor, task: Task) -> list[str]:
    if task.problem_type == "regression":
        values = logits.squeeze(-1).tolist()
        return ["index\tprediction", *(f"{i}\t{value:.6g}" for i, value in enumerate(values))]
    several = task.problem_type == "multi_label_classification"
    scores = logits.sigmoid() if several else logits.softmax(-1)
    lines = ["\t".join(["index", "prediction", *task.label_names])]
    for i, (guess, row) in enumerate(zip(predicted(logits, task), scores.tolist(), strict=True)):
        chosen = (
            [n for n, yes in zip(task.label_names, guess, strict=True) if yes]
            if several
            else [task.label_names[int(guess)]]
        )
        lines.append("\t".join([str(i), "|".join(chosen), *(f"{s:.6f}" for s in row)]))
    return lines


def _gather(parts: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return parts
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, parts)
    return [part for process in gathered for part in process]
