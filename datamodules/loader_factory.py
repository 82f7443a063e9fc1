"""Loaders of one process: which rows are its own, and what its workers are."""

import os
from dataclasses import dataclass
from typing import Any

from datamodules.batch_loader import BatchLoader
from datamodules.batch_sampler import EvalBatchSampler, TrainBatchSampler
from datamodules.collator import PaddingCollator
from datamodules.streaming import StreamingLoader
from datamodules.tokenization import TokenizedRows

_MAX_WORKERS = 4


@dataclass(frozen=True)
class LoaderFactory:
    """Makes loaders.

    Args:
        collator: Makes a batch of rows.
        full_batches: As of `TextDataModule`.
        num_workers: Of each loader; None for up to 4 beside a GPU, and none without.
        on_gpu: Whether batches go to a CUDA device.
        rank: Of this process.
        world_size: Number of processes.
    """

    collator: PaddingCollator
    full_batches: bool
    num_workers: int | None
    on_gpu: bool
    rank: int
    world_size: int

    def train(
        self, rows: TokenizedRows, batch_size: int, group_by_length: bool, seed: int
    ) -> BatchLoader:
        """This process's part of shuffled batches.

        Args:
            rows: Of an epoch.
            batch_size: Rows a batch.
            group_by_length: Make batches of rows of similar length.
            seed: Of the order.
        """
        sampler = TrainBatchSampler(
            rows.lengths,
            batch_size,
            group_by_length=group_by_length,
            seed=seed,
            rank=self.rank,
            world_size=self.world_size,
            labelled=rows.labelled,
            full_batches=self.full_batches,
        )
        return self._of(rows, sampler)

    def stream(self, rows: Any, batch_size: int, seed: int) -> StreamingLoader:
        """This process's part of a stream, shuffled in a buffer.

        Args:
            rows: A tokenized `datasets.IterableDataset`.
            batch_size: Rows a batch.
            seed: Of the order.
        """
        return StreamingLoader(
            rows,
            self.collator,
            batch_size=batch_size,
            seed=seed,
            rank=self.rank,
            world_size=self.world_size,
        )

    def evaluation(self, rows: TokenizedRows, batch_size: int) -> BatchLoader:
        """This process's part of all rows, each once, those of similar length together."""
        sampler = EvalBatchSampler(
            rows.lengths,
            batch_size,
            rank=self.rank,
            world_size=self.world_size,
            full_batches=self.full_batches,
        )
        return self._of(rows, sampler)

    def on_every_process(self, rows: TokenizedRows, batch_size: int) -> BatchLoader:
        """All rows, each once, the same on every process; those of similar length together."""
        return self._of(rows, EvalBatchSampler(rows.lengths, batch_size))

    def _of(
        self, rows: TokenizedRows, sampler: TrainBatchSampler | EvalBatchSampler
    ) -> BatchLoader:
        return BatchLoader(
            rows,
            sampler,
            self.collator,
            num_workers=self._worker_count(),
            pin_memory=self.on_gpu,
        )

    def _worker_count(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        return min(_MAX_WORKERS, (os.cpu_count() or 1) - 1) if self.on_gpu else 0
