"""Training batches from rows that are read anew in every epoch, for sets larger than the disk."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from datamodules.collator import Batch, PaddingCollator


class StreamingLoader:
    """Shuffles and groups by length within a window of rows that it holds in memory.

    Processes see the same global batches as one process would, as with `TrainBatchSampler`. To
    resume, the rows before the position are read again and skipped. The last rows of an epoch
    that do not fill a global batch are left out.

    Args:
        rows: Tokenized rows, in the same order at each iteration.
        collate: Makes a batch of rows.
        batch_size: Rows a process and batch.
        seed: Seed of the order.
        rank: This process.
        world_size: Number of processes.
        window: Batches held in memory.
    """

    def __init__(
        self,
        rows: Iterable[dict[str, Any]],
        collate: PaddingCollator,
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        window: int = 50,
    ) -> None:
        self.rows = rows
        self.collate = collate
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.window = window
        self.sampler = self  # where Lightning looks for set_epoch
        self.epoch = 0
        self._start_batch = 0
        self._batches_given = 0
        self._exhausted = False

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order; a position loaded for another epoch is dropped."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._start_batch = self._batches_given = 0
            self._exhausted = False

    def __iter__(self) -> Iterator[Batch]:
        self._batches_given, self._start_batch = self._start_batch, 0
        self._exhausted = False
        for batch in islice(self._batches(), self._batches_given, None):
            self._batches_given += 1
            yield self.collate(batch)
        self._exhausted = True

    def state_dict(self) -> dict[str, Any]:
        """Epoch and batches consumed in it."""
        # Lightning fetches one batch ahead of a loader without a length, to notice the last.
        used = max(self._start_batch, self._batches_given - 1)
        return {
            "epoch": self.epoch + self._exhausted,
            "batches_given": 0 if self._exhausted else used,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on where the saved one stood."""
        self.epoch = state["epoch"]
        self._start_batch = state["batches_given"]
        self._batches_given, self._exhausted = 0, False

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        size = self.batch_size * self.world_size
        rng = np.random.default_rng((self.seed, self.epoch))
        source = enumerate(self.rows)
        while window := list(islice(source, size * self.window)):
            order = rng.permutation(len(window))
            lengths = np.array([len(window[i][1]["input_ids"]) for i in order])
            order = order[np.argsort(-lengths, kind="stable")]
            whole = [order[i : i + size] for i in range(0, len(order) - size + 1, size)]
            for number in rng.permutation(len(whole)):
                mine = whole[number][self.rank :: self.world_size]
                yield [{**window[i][1], "index": window[i][0]} for i in mine]
