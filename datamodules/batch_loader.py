"""The loader that the Trainer iterates: it knows where in the epoch it is."""

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from datamodules.batch_sampler import EvalBatchSampler, TrainBatchSampler
from datamodules.collator import Batch, PaddingCollator
from datamodules.tokenization import TokenizedRows


class BatchLoader:
    """Batches of a map-style data set, with a position that a checkpoint keeps.

    It wraps a `DataLoader` in place of being one: Lightning then neither replaces the sampler
    under DDP nor warns about a loader that it cannot resume. The position counts the batches
    handed to the Trainer, not those that workers have prefetched.

    Args:
        rows: The data.
        batch_sampler: Which rows make a batch; also called ``sampler``, where Lightning looks for
            ``set_epoch``.
        collate: Makes a batch of rows.
        num_workers: Worker processes.
        pin_memory: Copy batches to pinned memory, for CUDA.
    """

    def __init__(
        self,
        rows: TokenizedRows,
        batch_sampler: TrainBatchSampler | EvalBatchSampler,
        collate: PaddingCollator,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.batch_sampler = batch_sampler
        self.sampler = batch_sampler
        self.dataset = rows
        self._batches_given = 0
        self._loader: DataLoader[Batch] = DataLoader(
            rows,  # type: ignore[arg-type]  # has __getitems__, as the fetcher wants
            batch_sampler=batch_sampler,
            collate_fn=collate,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            worker_init_fn=_leave_process_group,
            # Otherwise each iterator draws a seed from the global generator, and a run that was
            # resumed would have drawn one more.
            generator=torch.Generator().manual_seed(0),
        )

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        if isinstance(self.batch_sampler, TrainBatchSampler):
            self._batches_given = self.batch_sampler.start_batch
        for batch in self._loader:
            self._batches_given += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Epoch and batches given in it; saved by Lightning in every checkpoint."""
        epoch = getattr(self.batch_sampler, "epoch", 0)
        return {"epoch": epoch, "batches_given": self._batches_given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on where the saved one stood."""
        if not isinstance(self.batch_sampler, TrainBatchSampler):
            return
        epoch, batch = state["epoch"], state["batches_given"]
        if batch >= len(self):  # the epoch was over
            epoch, batch = epoch + 1, 0
        self.batch_sampler.start_at(epoch, batch)
        self._batches_given = batch


def _leave_process_group(worker: int) -> None:
    """A scheduler tells all processes of a group to stop, and the one that trains, which then
    saves at the end of its step, still needs the others. It ends them itself, one by one."""
    os.setpgid(0, 0)
