"""From tokenized rows to a padded batch of tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Batch = dict[str, Any]
"""``input_ids``, ``attention_mask``, maybe ``token_type_ids``: ``[batch, seq]``; ``labels``:
``[batch]`` or ``[batch, num_labels]``; ``index``: ``[batch]``, the row's number in its split;
``row_weight``: ``[batch]``, only where rows weigh differently, or always; ``labelled`` and
``task_weight`` (for the task loss, in place of ``row_weight``): ``[batch]``, only where there are
rows without a label; ``num_rows`` and ``num_tokens``: int, neither padding nor filler rows."""


@dataclass(frozen=True)
class PaddingCollator:
    """Pads rows on the right to the longest, to a multiple, or to one of a few fixed lengths.

    Args:
        pad_token_id: Token id of the padding.
        pad_token_type_id: Token type id of the padding.
        label_dtype: ``torch.long`` for classes, ``torch.float32`` for the rest.
        pad_to_multiple_of: Round the length of a batch up to a multiple; 1 leaves it alone.
        fixed_lengths: Ascending lengths to choose from, for compiled and XLA execution.
        always_weighted: Let every batch have ``row_weight``, so that all make the same program.
    """

    pad_token_id: int = 0
    pad_token_type_id: int = 0
    label_dtype: torch.dtype = torch.long
    pad_to_multiple_of: int = 1
    fixed_lengths: tuple[int, ...] = ()
    always_weighted: bool = False

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """Pad and stack ``rows``, each with ``input_ids``, ``index`` and maybe ``labels``."""
        lengths = np.array([len(row["input_ids"]) for row in rows])
        longest = self._padded_length(int(lengths.max()))
        weights = np.array([row.get("row_weight", 1.0) for row in rows])
        batch: Batch = {
            "input_ids": _pad([row["input_ids"] for row in rows], longest, self.pad_token_id),
            "attention_mask": torch.from_numpy(
                (np.arange(longest) < lengths[:, None]).astype(np.int64)
            ),
            "index": torch.tensor([row["index"] for row in rows]),
            "num_rows": int((weights > 0).sum()),
            "num_tokens": int(lengths[weights > 0].sum()),
        }
        if "token_type_ids" in rows[0]:
            types = [row["token_type_ids"] for row in rows]
            batch["token_type_ids"] = _pad(types, longest, self.pad_token_type_id)
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=self.label_dtype)
        if self.always_weighted or (weights != 1.0).any():
            batch["row_weight"] = torch.from_numpy(weights.astype(np.float32))
        if "labelled" in rows[0]:
            batch["labelled"] = torch.tensor([row["labelled"] for row in rows])
            batch["task_weight"] = torch.tensor([row["task_weight"] for row in rows])
        return batch

    def _padded_length(self, longest: int) -> int:
        for length in self.fixed_lengths:
            if length >= longest:
                return length
        return -(-longest // self.pad_to_multiple_of) * self.pad_to_multiple_of


def _pad(rows: Sequence[Sequence[int]], length: int, value: int) -> Tensor:
    padded = np.full((len(rows), length), value, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return torch.from_numpy(padded)
