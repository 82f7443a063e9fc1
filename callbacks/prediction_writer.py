"""Prediction files: GLUE's submission format, or a table for a user's own files."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from datamodules.glue import GLUEDataModule
from lightning_app.task import Task
from modules.prediction_lines import TABLE, file_text, submission_lines, table_lines
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


def _file(data: Any, split: str, logits: Tensor, task: Task) -> tuple[str, str]:
    if isinstance(data, GLUEDataModule):
        lines = submission_lines(logits, data.task, data.glue.answer)
        return data.glue.submission_files[split], file_text(lines)
    return TABLE, file_text(table_lines(logits, task))


def _gather(parts: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return parts
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, parts)
    return [part for process in gathered for part in process]
