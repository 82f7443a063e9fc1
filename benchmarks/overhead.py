"""What the Trainer, callbacks and logging cost: `glint fit` against a bare loop, step for step.

    python -m benchmarks.overhead --dataset FOLDER                        all cores
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.overhead --dataset FOLDER   one core

Both have Glint's kernels, run in one process on the identical batches, and take turns of 5 steps,
now the one first, now the other. Each pair of turns makes one ratio; given are the median of the
ratios and its 95 % interval by bootstrap, by the wall's and by the processor's clock. The bare
loop has no schedule and no log, and Glint writes its log in each turn, four times as often as by
default, so the figures are upper bounds. Loading is left out on both sides: batches are in
memory. Prints a Markdown table. Two to four minutes a task on quiet cores.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
from lightning.pytorch.loggers import TensorBoardLogger

from benchmarks.training_rivals import BATCH_SIZE, LEARNING_RATE
from callbacks import (
    CompressionMonitor,
    CPUKernels,
    FiniteLoss,
    LearningRateSchedule,
    RandomState,
    RunCheckpoint,
    RunSummary,
    TrainingLog,
    ValidationPictures,
)
from datamodules import GLUEDataModule
from datamodules.collator import Batch
from modules import TextClassifier
from modules.network_inputs import network_inputs

Clock = tuple[float, float]
"""Seconds of the wall and of the processor."""

WARM_UP = 4
"""Turns that are not counted."""


def clock() -> Clock:
    """Now."""
    return time.perf_counter(), time.process_time()


def since(start: Clock) -> Clock:
    """From then to now."""
    wall, processor = clock()
    return wall - start[0], processor - start[1]


class Batches:
    """A loader of what is in memory."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


class DataInMemory(GLUEDataModule):
    """The first `num_batches` of an epoch."""

    def __init__(self, num_batches: int, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.num_batches = num_batches
        self.batches: list[Batch] = []

    def train_dataloader(self) -> Any:
        """The same batches for both."""
        self.batches = list(islice(super().train_dataloader(), self.num_batches))
        return Batches(self.batches)


class Turns(pl.Callback):
    """Lets the bare loop make the Trainer's steps after it, or before it, and times both."""

    def __init__(self, bare: Callable[[list[Batch]], None], steps: int) -> None:
        self.bare = bare
        self.steps = steps
        self.trainer_seconds: list[Clock] = []
        self.bare_seconds: list[Clock] = []
        self._start = (0.0, 0.0)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Change turns."""
        turn, step = divmod(batch_idx, self.steps)
        if step:
            return
        if turn > 0:
            self.trainer_seconds.append(since(self._start))
            if turn % 2 == 1:
                self._bare_turn(trainer, turn - 1)
        if turn % 2 == 1:
            self._bare_turn(trainer, turn)
        self._start = clock()

    def _bare_turn(self, trainer: pl.Trainer, turn: int) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        start = clock()
        self.bare(data.batches[turn * self.steps : (turn + 1) * self.steps])
        self.bare_seconds.append(since(start))


def bare_loop(task: Any) -> Callable[[list[Batch]], None]:
    """Glint's kernels and optimizer, and nothing around them."""
    module = TextClassifier("embedded", learning_rate=LEARNING_RATE)
    module.build(task)
    optimizer = module.configure_optimizers()

    def run(batches: list[Batch]) -> None:
        for batch in batches:
            outputs = module(**network_inputs(batch))
            loss = module.objective(batch, outputs)["task"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return run


def measure(task: str, dataset: str, rounds: int, steps: int) -> npt.NDArray[np.float64]:
    """Seconds of the Trainer and of the bare loop by the two clocks, ``[rounds, 2, 2]``."""
    # One turn more: the last has no end to be measured at.
    num_batches = (WARM_UP + rounds + 1) * steps
    data = DataInMemory(num_batches, task, dataset=dataset, train_batch_size=BATCH_SIZE[task])
    turns = Turns(bare_loop(data.task), steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(turns, folder, steps)
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            trainer.fit(TextClassifier("embedded", learning_rate=LEARNING_RATE), data)
    pairs = [*zip(turns.trainer_seconds, turns.bare_seconds, strict=False)]
    assert len(pairs) >= WARM_UP + rounds, "an epoch has too few batches"
    return np.array(pairs[WARM_UP : WARM_UP + rounds])


def _trainer(turns: Turns, folder: str, steps: int) -> pl.Trainer:
    """As `glint fit` makes it."""
    ours = [
        CPUKernels(),
        FiniteLoss(),
        TrainingLog(),
        CompressionMonitor(),
        RunSummary(),
        RandomState(),
    ]
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        default_root_dir=folder,
        logger=TensorBoardLogger(folder),
        log_every_n_steps=steps,
        callbacks=[turns, LearningRateSchedule(), *ours, ValidationPictures(), RunCheckpoint()],
        limit_val_batches=0,
        use_distributed_sampler=False,
    )


def median_ratio(
    trainer: npt.NDArray[np.float64], bare: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Median of the paired ratios, and its 95 % interval by bootstrap over the pairs."""
    ratios = trainer / bare
    draws = np.random.default_rng(0).integers(len(ratios), size=(10_000, len(ratios)))
    low, high = np.quantile(np.median(ratios[draws], axis=1), [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def main() -> None:
    """Measure the tasks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--tasks", nargs="+", default=list(BATCH_SIZE), choices=list(BATCH_SIZE))
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=5, help="steps a turn")
    arguments = parser.parse_args()
    pl.seed_everything(0)
    print(
        "| task, batch | threads | ms a step, bare | ratio by the wall's clock"
        " | by the processor's |\n| --- | --- | --- | --- | --- |"
    )
    for task in arguments.tasks:
        seconds = measure(task, arguments.dataset, arguments.rounds, arguments.steps)
        cells = [
            "{:.3f} ({:.3f} to {:.3f})".format(*median_ratio(*seconds[:, :, kind].T))
            for kind in (0, 1)
        ]
        milliseconds = 1000 * float(np.median(seconds[:, 1, 0])) / arguments.steps
        threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
        print(
            f"| {task}, {BATCH_SIZE[task]} | {threads} | {milliseconds:.0f} | {cells[0]}"
            f" | {cells[1]} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
