"""Copies of a model that are compiled for single rows of one length."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from lightning_app.artifact.manifest import Padding
from lightning_app.artifact.runtime import CALLS_BEFORE_COPY
from lightning_app.artifact.text_encoder import Batch

STEP = 16
"""Tokens between the lengths of copies; shorter rows are padded."""

LONGEST = 128
"""Of longer rows the time that a copy saves is a small part."""


def copied_length(length: int, longest: int) -> int | None:
    """The length of the copy that computes a single row; None where the model itself does.

    Args:
        length: Of the row, in tokens.
        longest: Input of the model.
    """
    return None if length > LONGEST else min(longest, -(-length // STEP) * STEP)


class LengthCopies:
    """A model that is compiled for every length prepares itself anew at each call whose length is
    not that of the last, which takes as long as a third of a small model's computing. So single
    rows are computed by copies for fixed lengths, each compiled (a third of a second) once its
    length has been asked for often.

    Args:
        compiled_for: A request of a copy for single rows of a length.
        padding: Of rows that are shorter than their copy.
        longest: Input of the model, in tokens.
        max_copies: There are no more.
        calls_before: Of a length, before its copy is compiled.
    """

    def __init__(
        self,
        compiled_for: Callable[[int], Any],
        padding: Padding,
        longest: int,
        max_copies: int,
        calls_before: int = CALLS_BEFORE_COPY,
    ) -> None:
        self._compiled_for = compiled_for
        self._padding = padding
        self._longest = longest
        self._calls_before = calls_before
        # Padding on the left would move the tokens to other positions.
        self._max_copies = max_copies if padding.side == "right" else 0
        self._calls: Counter[int] = Counter()
        self._requests: dict[int, Any] = {}

    def find(self, batch: Batch) -> tuple[Any, Batch] | None:
        """The request for a batch, with the batch as it takes it; None where there is none."""
        rows, length = batch["input_ids"].shape
        copied = copied_length(length, self._longest) if rows == 1 else None
        if copied is None:
            return None
        if copied not in self._requests and not self._compile(copied):
            return None
        return self._requests[copied], self._lengthened(batch, copied - length)

    def _compile(self, length: int) -> bool:
        self._calls[length] += 1
        if len(self._requests) >= self._max_copies or self._calls[length] <= self._calls_before:
            return False
        self._requests[length] = self._compiled_for(length)
        return True

    def _lengthened(self, batch: Batch, by: int) -> Batch:
        return {
            name: np.pad(values, ((0, 0), (0, by)), constant_values=self._padding.value(name))
            for name, values in batch.items()
        }
