"""Tokenize a split once and keep the result on disk, in the `datasets` cache."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datamodules.batch_sampler import RowKey
from datamodules.splits import Rows
from lightning_app.errors import InputError
from lightning_app.task import Task

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset
    from transformers import PreTrainedTokenizerBase

LabelEncoder = Callable[[Sequence[Any], int], list[Any]]
"""From values of the label column, and the number of the first of these rows, to class numbers,
floats, or lists of 0 and 1."""

TOKENIZATION_VERSION = "1"
"""Part of the cache key: raise it when what `tokenize` writes changes."""


class TokenizedRows:
    """Tokenized rows of a split, or of a part of it, for a `DataLoader`.

    Args:
        table: ``input_ids``, maybe ``token_type_ids``, ``labels``; ``length`` and ``truncated``.
        rows: The rows of ``table`` that belong; all by default.
        labelled: Which of them have a label, ``[rows]``, the first of ``table`` among them; all by
            default. The others are given label 0, whatever ``table`` holds.
    """

    def __init__(
        self,
        table: "Dataset",
        rows: Rows | None = None,
        labelled: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.table = table
        self.rows = rows
        self.labelled = labelled
        keys = ("input_ids", "token_type_ids", "labels")
        self._columns = [key for key in keys if key in table.column_names]

    def __len__(self) -> int:
        return len(self.table) if self.rows is None else len(self.rows)

    def __getitems__(self, keys: Sequence[RowKey]) -> list[dict[str, Any]]:
        """Fetch the rows of one batch."""
        places = [row if self.rows is None else int(self.rows[row]) for row, *_ in keys]
        columns = self.table[places]
        rows = [{key: columns[key][i] for key in self._columns} for i in range(len(places))]
        for row, place, key in zip(rows, places, keys, strict=True):
            row.update(index=place, row_weight=key.weight)
            if self.labelled is not None:
                row.update(labelled=bool(self.labelled[key.row]), task_weight=key.task_weight)
                row["labels"] = row["labels"] if row["labelled"] else self._no_label
        return rows

    @cached_property
    def _no_label(self) -> Any:
        label = self.table[0]["labels"]
        return [0.0] * len(label) if isinstance(label, list) else type(label)(0)

    def __getitem__(self, key: RowKey) -> dict[str, Any]:
        return self.__getitems__([key])[0]

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Tokens of each row, ``[rows]``."""
        return self.column("length")

    @property
    def num_truncated(self) -> int:
        """Rows that did not fit into the maximum length."""
        return int(self.column("truncated").sum())

    @property
    def fingerprint(self) -> str:
        """It follows from text, tokenizer, maximum length, and which rows these are."""
        chosen = b"" if self.rows is None else self.rows.astype("<i8").tobytes()
        return f"{self.table._fingerprint}-{hashlib.sha256(chosen).hexdigest()[:16]}"

    def position(self, index: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
        """Positions, from 0, of the rows that have these numbers in the table, ``[batch]``."""
        if self.rows is None:
            return index
        return self._order[np.searchsorted(self.rows, index, sorter=self._order)]

    @cached_property
    def _order(self) -> npt.NDArray[np.integer[Any]]:
        assert self.rows is not None
        return np.argsort(self.rows, kind="stable")

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column of numbers ``[rows]``, or of lists ``[rows, length]``; int64 becomes int32."""
        values = self.table_column(name)
        return values if self.rows is None else values[self.rows]

    def table_column(self, name: str) -> npt.NDArray[Any]:
        """As `column`, of all rows of the table."""
        column = self.table.data.column(name)
        numbers = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        chunks = [np.asarray(chunk) for chunk in numbers.chunks]
        kind = np.int32 if pa.types.is_integer(numbers.type) else None
        values = np.concatenate(chunks, dtype=kind, casting="same_kind")
        return values if numbers is column else values.reshape(len(column), -1)


def tokenize_split(
    raw: "Dataset | IterableDataset",
    tokenizer: "PreTrainedTokenizerBase",
    task: Task,
    max_seq_length: int,
    encode_labels: LabelEncoder | None,
    description: str,
) -> "Dataset | IterableDataset":
    """Tokenize ``raw`` in batches; a second call with the same arguments reads the cache.

    Args:
        raw: The text and labels.
        tokenizer: A fast tokenizer.
        task: Names the text and label columns.
        max_seq_length: Longer rows are cut, the longer of two texts first.
        encode_labels: From the label column's values to class numbers or floats; None leaves
            labels out.
        description: Text of the progress bar.
    """

    def tokenize(batch: Mapping[str, Sequence[Any]], rows: Sequence[int]) -> dict[str, list[Any]]:
        texts = [batch[column] for column in task.text_columns]
        _check_all_text(texts, task, rows)
        encoded = tokenizer(*texts, truncation=True, max_length=max_seq_length)
        out = {k: v for k, v in encoded.items() if k in ("input_ids", "token_type_ids")}
        out["length"] = [len(ids) for ids in encoded["input_ids"]]
        out["truncated"] = [bool(e.overflowing) for e in encoded.encodings]
        if encode_labels is not None:
            out["labels"] = encode_labels(batch[task.label_column], rows[0])
        return out

    options: dict[str, Any] = {
        "batched": True,
        "with_indices": True,
        "remove_columns": raw.column_names,
    }
    if not hasattr(raw, "_fingerprint"):
        return raw.map(tokenize, **options)
    key = _cache_key(raw._fingerprint, tokenizer, task, max_seq_length, encode_labels is not None)
    return raw.map(tokenize, new_fingerprint=key, desc=description, batch_size=1000, **options)


def _check_all_text(texts: Sequence[Sequence[Any]], task: Task, rows: Sequence[int]) -> None:
    """Rows of a stream are first seen here."""
    for column, values in zip(task.text_columns, texts, strict=True):
        for row, value in zip(rows, values, strict=True):
            if not isinstance(value, str):
                raise InputError(
                    f"Expected text in the column {column!r}, but row {row + 1} (counting from 1,"
                    f" without the header) has {value!r}."
                )


def _cache_key(
    fingerprint: str,
    tokenizer: "PreTrainedTokenizerBase",
    task: Task,
    max_seq_length: int,
    with_labels: bool,
) -> str:
    # `datasets` would hash the tokenizer object, whose state changes with its first use.
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend.update(truncation=None, padding=None)
    parts = [TOKENIZATION_VERSION, fingerprint, backend, task.as_plain(), max_seq_length]
    text = json.dumps([*parts, with_labels], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
