from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from datamodules.batch_sampler import RowKey
from datamodules.tokenization import TokenizedRows, tokenize_split
from lightning_app.task import Task

TASK = Task(
    "own",
    ("first", "second"),
    ("no", "yes"),
    "single_label_classification",
    ("accuracy",),
    ("accuracy",),
)
ROWS = {
    "first": ["the cat ate", "a dog", "the old apple was eaten by the dog ."],
    "second": ["the cat", "a cat sold the house", "the dog ate the old apple ."],
    "label": [1, 0, 1],
}


@pytest.fixture
def tokenizer(tiny_model: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def raw(tmp_path: Path) -> Dataset:
    """On disk, where `datasets` keeps a cache beside it."""
    Dataset.from_dict(ROWS).to_parquet(tmp_path / "rows.parquet")
    return Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache"))


class CountingEncoder:
    """Counts its calls: it is called once for each batch that is tokenized."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, values: Sequence[Any], first_row: int) -> list[Any]:
        self.calls.append(first_row)
        return list(values)


def tokenize(
    raw: Dataset, tokenizer: PreTrainedTokenizerBase, encoder: Any, length: int = 32
) -> Dataset:
    table = tokenize_split(raw, tokenizer, TASK, length, encoder, "Tokenizing")
    assert isinstance(table, Dataset)
    return table


def test_gives_what_the_tokenizer_gives(raw: Dataset, tokenizer: PreTrainedTokenizerBase) -> None:
    table = tokenize(raw, tokenizer, CountingEncoder())
    for row, first, second in zip(table, ROWS["first"], ROWS["second"], strict=True):
        expected = tokenizer(first, second)
        assert row["input_ids"] == expected["input_ids"]
        assert row["token_type_ids"] == expected["token_type_ids"]
        assert row["length"] == len(expected["input_ids"])
    assert table["labels"][:] == [1, 0, 1]
    assert not any(table["truncated"])
    assert set(table.column_names) == {
        "input_ids",
        "token_type_ids",
        "length",
        "truncated",
        "labels",
    }


def test_counts_the_rows_that_were_cut(raw: Dataset, tokenizer: PreTrainedTokenizerBase) -> None:
    # Three words, two words and three special tokens: 8; 2 + 5 + 3 = 10; 9 + 7 + 3 = 19.
    lengths = TokenizedRows(tokenize(raw, tokenizer, None)).lengths
    assert lengths.tolist() == [8, 10, 19]
    for limit, cut in ((19, 0), (18, 1), (10, 1), (9, 2), (7, 3)):
        rows = TokenizedRows(tokenize(raw, tokenizer, None, limit))
        assert rows.num_truncated == cut
        assert rows.lengths.tolist() == np.minimum(lengths, limit).tolist()


def test_second_call_reads_the_cache(raw: Dataset, tokenizer: PreTrainedTokenizerBase) -> None:
    encoder = CountingEncoder()
    first = tokenize(raw, tokenizer, encoder)
    tokenizer(["used in between"], padding="max_length", max_length=50, truncation=True)
    second = tokenize(raw, tokenizer, encoder)
    assert encoder.calls == [0]
    assert second._fingerprint == first._fingerprint
    assert second[:] == first[:]


def test_another_length_is_another_entry_of_the_cache(
    raw: Dataset, tokenizer: PreTrainedTokenizerBase
) -> None:
    encoder = CountingEncoder()
    fingerprints = {tokenize(raw, tokenizer, encoder, n)._fingerprint for n in (16, 32, 16)}
    assert len(fingerprints) == 2
    assert encoder.calls == [0, 0]


def test_labels_tokenizer_and_rows_are_part_of_the_key(
    raw: Dataset, tokenizer: PreTrainedTokenizerBase
) -> None:
    fingerprints = {
        tokenize(raw, tokenizer, CountingEncoder())._fingerprint,
        tokenize(raw, tokenizer, None)._fingerprint,
        tokenize(raw.select([0, 1]), tokenizer, None)._fingerprint,
    }
    tokenizer.add_tokens(["brandnew"])
    fingerprints.add(tokenize(raw, tokenizer, None)._fingerprint)
    assert len(fingerprints) == 4


def test_encoder_is_told_the_number_of_the_first_row(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    rows = {name: (values * 700)[:2100] for name, values in ROWS.items()}
    encoder = CountingEncoder()
    tokenize(Dataset.from_dict(rows), tokenizer, encoder)
    assert encoder.calls == [0, 1000, 2000]


def test_part_of_a_table_keeps_the_row_numbers_of_its_split(
    raw: Dataset, tokenizer: PreTrainedTokenizerBase
) -> None:
    table = tokenize(raw, tokenizer, CountingEncoder())
    part = TokenizedRows(table, np.array([0, 2]))
    assert len(part) == 2
    assert part.lengths.tolist() == [8, 19]
    assert part.column("labels").tolist() == [1, 1]
    row = part[RowKey(1, 0.5)]
    assert row["input_ids"] == table[2]["input_ids"]
    assert (row["index"], row["row_weight"]) == (2, 0.5)
    both = part.__getitems__([RowKey(1), RowKey(0)])
    assert [r["input_ids"] for r in both] == [table[2]["input_ids"], table[0]["input_ids"]]


def test_columns_of_numbers_and_of_lists() -> None:
    chunks = [
        Dataset.from_dict({"length": [n, 5], "labels": [[0.0, n], [1.0, 0.5]]}) for n in (3, 4)
    ]
    table = concatenate_datasets(chunks)
    rows = TokenizedRows(table, np.array([1, 2], dtype=np.int32))
    assert rows.column("length").tolist() == [5, 4]
    assert rows.column("length").dtype == np.int32
    assert rows.column("labels").tolist() == [[1.0, 0.5], [0.0, 4.0]]
    assert rows.table_column("length").tolist() == [3, 5, 4, 5]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([1, 2, None], [1, 0, 0]), ([0.5, 2.5, None], [0.5, 0.0, 0.0])],
)
def test_the_label_of_an_unlabelled_row_is_never_handed_out(
    labels: list[Any], expected: list[Any]
) -> None:
    table = Dataset.from_dict({"input_ids": [[1], [2], [3]], "labels": labels})
    rows = TokenizedRows(table, labelled=np.array([True, False, False]))
    found = rows.__getitems__([RowKey(0, 1.0, 3.0), RowKey(1, 1.0, 0.0), RowKey(2, 1.0, 0.0)])
    assert [row["labels"] for row in found] == expected
    assert [type(row["labels"]) for row in found] == [type(value) for value in expected]
    assert [row["labelled"] for row in found] == [True, False, False]
    assert [row["task_weight"] for row in found] == [3.0, 0.0, 0.0]


def test_the_label_of_an_unlabelled_row_may_be_a_list() -> None:
    table = Dataset.from_dict(
        {"input_ids": [[1], [2]], "labels": [[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]}
    )
    rows = TokenizedRows(table, labelled=np.array([True, False]))
    assert rows[RowKey(1)]["labels"] == [0.0, 0.0, 0.0]
