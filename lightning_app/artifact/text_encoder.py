"""From texts to padded batches of token numbers, without transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lightning_app.artifact.manifest import Padding
from lightning_app.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Encoding

Batch = dict[str, npt.NDArray[np.int64]]
"""By name of the network's inputs, each ``[batch, seq]``."""


class TextEncoder:
    """Tokenizes as the checkpoint's tokenizer does, with the library that this one stands on.

    `transformers` would take seconds to import and reads more files than this one.

    Args:
        file: `tokenizer.json`.
        max_seq_length: Longer inputs are cut, of a pair the longer text first.
        inputs: Names of what the network reads.
        padding: Of a batch.

    Raises:
        InputError: If the file is no tokenizer.
    """

    def __init__(
        self, file: Path, max_seq_length: int, inputs: Sequence[str], padding: Padding
    ) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing narrower
            raise InputError(
                f"Expected a tokenizer in {str(file)!r}, but: {' '.join(str(error).split())[:200]}."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_seq_length, strategy="longest_first")
        self._inputs = tuple(inputs)
        self._padding = padding

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None) -> "list[Encoding]":
        """Each row alone, special tokens included."""
        rows = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        return list(self._tokenizer.encode_batch(rows))

    def made_up(self, num_rows: int, length: int, seed: int = 0) -> Batch:
        """Rows of tokens drawn at random, all of one length and without padding.

        Args:
            num_rows: At least 1.
            length: In tokens.
            seed: Of the draws.
        """
        draws = np.random.default_rng(seed)
        tokens = draws.integers(self._tokenizer.get_vocab_size(), size=(num_rows, length))
        # The padding's number changes what some families take for a position.
        tokens[tokens == self._padding.token] = self._padding.token + 1
        columns = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        zeros = np.zeros_like(tokens)
        return {name: columns.get(name, zeros).astype(np.int64) for name in self._inputs}

    def batch(self, rows: "Sequence[Encoding]") -> Batch:
        """Rows of one length, that of the longest."""
        length = max(len(row.ids) for row in rows)
        columns = {
            "input_ids": [row.ids for row in rows],
            "attention_mask": [row.attention_mask for row in rows],
            "token_type_ids": [row.type_ids for row in rows],
        }
        return {
            name: self._padded(columns[name], self._padding.value(name), length)
            for name in self._inputs
        }

    def _padded(
        self, rows: Sequence[Sequence[int]], value: int, length: int
    ) -> npt.NDArray[np.int64]:
        padded = np.full((len(rows), length), value, dtype=np.int64)
        for target, row in zip(padded, rows, strict=True):
            start = length - len(row) if self._padding.side == "left" else 0
            target[start : start + len(row)] = row
        return padded
