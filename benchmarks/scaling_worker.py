"""A process of `benchmarks.scaling`, or two under DDP: `glint fit` that steps at its turn."""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import distributed

from benchmarks.turns import Turn
from callbacks import CPUKernels, FiniteLoss, LearningRateSchedule, RandomState, TrainingLog
from datamodules import GLUEDataModule
from modules import TextClassifier

EXCHANGES = 10


class Stepping(pl.Callback):
    """The first process waits for its turn, and the other for the first."""

    def __init__(self, report: Path) -> None:
        self.report = report
        self.turn = Turn()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Time the exchange of all gradients by itself, while nobody else computes."""
        if trainer.world_size == 1:
            return
        size = sum(p.numel() for p in pl_module.parameters() if p.requires_grad)
        seconds = statistics.median(_exchange(torch.zeros(size)) for _ in range(EXCHANGES))
        if trainer.is_global_zero:
            self.report.write_text(json.dumps(seconds))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, index: int) -> None:
        """Step, or end."""
        if trainer.is_global_zero and not self.turn.step(batch["num_tokens"]):
            os._exit(0)


def _exchange(gradients: torch.Tensor) -> float:
    distributed.barrier()
    start = time.perf_counter()
    distributed.all_reduce(gradients)
    return time.perf_counter() - start


def main(kind: str, task: str, dataset: str, batch: str, precision: str, report: str) -> None:
    """Fit for ever; the parent ends it."""
    pl.seed_everything(0)
    options: dict[str, Any] = {"strategy": "ddp", "devices": 2} if kind == "ddp" else {"devices": 1}
    ours = [CPUKernels(), LearningRateSchedule(), FiniteLoss(), RandomState(), TrainingLog()]
    trainer = pl.Trainer(
        accelerator="cpu",
        precision=precision,  # type: ignore[arg-type]
        max_epochs=100,
        default_root_dir=tempfile.mkdtemp(),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[*ours, Stepping(Path(report))],
        limit_val_batches=0,
        use_distributed_sampler=False,
        **options,
    )
    data = GLUEDataModule(task, dataset=dataset, train_batch_size=int(batch))
    trainer.fit(TextClassifier("embedded", learning_rate=2e-5), data)


if __name__ == "__main__":
    main(*sys.argv[1:])
