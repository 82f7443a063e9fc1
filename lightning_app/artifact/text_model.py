"""An opened artifact: texts in, answers out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_app.answer import answer_from_shares
from lightning_app.artifact.length_copies import copied_length
from lightning_app.artifact.manifest import Manifest, Sample
from lightning_app.artifact.runtime import CALLS_BEFORE_COPY
from lightning_app.artifact.text_encoder import Batch, TextEncoder
from lightning_app.errors import InputError
from lightning_app.task import Task

Network = Callable[[Batch], npt.NDArray[np.float32]]
"""From a batch to logits ``[batch, num_labels]``."""


class TextModel:
    """Answers for texts, or pairs of texts; made by `lightning_app.load`.

    Args:
        folder: Where it lies.
        manifest: What is in it.
        encoder: Makes batches of texts.
        network: Computes them.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, encoder: TextEncoder, network: Network
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self._encoder = encoder
        self._network = network

    @property
    def task(self) -> Task:
        """Columns and labels."""
        return self.manifest.task

    @property
    def encoder(self) -> TextEncoder:
        """Makes batches of texts."""
        return self._encoder

    @property
    def network(self) -> Network:
        """Computes batches."""
        return self._network

    def __call__(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, batch_size: int = 32
    ) -> list[dict[str, Any]]:
        """Answer for each row.

        Args:
            texts: The texts.
            pairs: The second text of each row, where the task has two.
            batch_size: Rows that are computed at once; those of similar length go together.

        Returns:
            In the order of ``texts``: ``label`` (a list with several labels a row), ``score`` and
            ``scores`` by label; for regression ``score`` alone.
        """
        logits = self.logits(texts, pairs, batch_size)
        if self.task.problem_type == "regression":
            return [{"score": float(row[0])} for row in logits]
        several = self.task.problem_type == "multi_label_classification"
        shares = _sigmoid(logits) if several else _softmax(logits)
        return [answer_from_shares(row, self.task) for row in shares.tolist()]

    def logits(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, batch_size: int = 32
    ) -> npt.NDArray[np.float32]:
        """``[rows, num_labels]``, in the order of ``texts``; arguments as for a call."""
        self._check(texts, pairs, batch_size)
        rows = self._encoder.encode(texts, pairs)
        logits = np.zeros((len(rows), self.task.num_labels), dtype=np.float32)
        by_length = sorted(range(len(rows)), key=lambda row: len(rows[row].ids))
        for start in range(0, len(rows), batch_size):
            chosen = by_length[start : start + batch_size]
            logits[chosen] = self._network(self._encoder.batch([rows[row] for row in chosen]))
        return logits

    def difference_from_checkpoint(self, batch_size: int = 32) -> float:
        """Compute the manifest's samples anew, on this machine.

        Args:
            batch_size: Rows that are computed at once.

        Returns:
            The largest difference of a logit from the checkpoint's, as a share of the largest
            logit, or of 1 where all are smaller; the manifest's ``tolerance`` is in this unit.
        """
        samples = self.manifest.samples
        expected = np.array([sample.logits for sample in samples])
        found = self.logits(*columns_of(samples), batch_size=batch_size)
        return relative_difference(found, expected)

    def warm_up(self, lengths: Sequence[int]) -> None:
        """Ask for single rows of these lengths, until the runtime has prepared what it prepares.

        Args:
            lengths: In tokens, within the manifest's ``max_seq_length``.
        """
        longest = self.manifest.max_seq_length
        copied = (copied_length(length, longest) for length in lengths)
        for length in sorted({length for length in copied if length is not None}):
            batch = self._encoder.made_up(1, length)
            for _ in range(CALLS_BEFORE_COPY + 1):
                self._network(batch)

    def _check(self, texts: Any, pairs: Any, batch_size: int) -> None:
        for name, values in (("texts", texts), ("pairs", pairs)):
            if isinstance(values, str) or not all(isinstance(v, str) for v in values or ()):
                raise InputError(f"Expected `{name}` to be a list of texts, got {values!r:.80}.")
        columns = self.task.text_columns
        if (pairs is None) != (len(columns) == 1):
            raise InputError(
                f"Expected {'texts and pairs' if len(columns) == 2 else 'texts alone'} for task"
                f" {self.task.name!r}, which reads {' and '.join(columns)}, got"
                f" {'texts alone' if pairs is None else 'texts and pairs'}."
            )
        if pairs is not None and len(pairs) != len(texts):
            raise InputError(
                f"Expected as many `pairs` as `texts`, got {len(pairs)} and {len(texts)}."
            )
        if batch_size < 1:
            raise InputError(f"Expected `batch_size` to be at least 1, got {batch_size}.")


def columns_of(samples: Sequence[Sample]) -> tuple[list[str], list[str] | None]:
    """Texts and pairs of samples; None for pairs of single texts."""
    texts = [sample.texts[0] for sample in samples]
    is_pair = bool(samples) and len(samples[0].texts) == 2
    return texts, [sample.texts[1] for sample in samples] if is_pair else None


def relative_difference(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """The largest difference, as a share of the largest ``expected``, or of 1 if that is less."""
    if not np.isfinite(found).all():
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return float(np.abs(found - expected).max(initial=0)) / scale


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def _sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.exp(-np.logaddexp(0, -logits))
