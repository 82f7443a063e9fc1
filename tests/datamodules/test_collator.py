from typing import Any

import pytest
import torch

from datamodules.collator import PaddingCollator

ROWS: list[dict[str, Any]] = [
    {"input_ids": [7, 8], "index": 5, "labels": 1},
    {"input_ids": [4, 5, 6], "index": 2, "labels": 0},
]


def test_pads_two_rows_by_hand() -> None:
    batch = PaddingCollator(pad_token_id=9)(ROWS)
    assert batch["input_ids"].tolist() == [[7, 8, 9], [4, 5, 6]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["index"].tolist() == [5, 2]
    assert batch["labels"].tolist() == [1, 0]
    assert batch["num_tokens"] == 5
    counts = {"num_rows", "num_tokens"}
    assert set(batch) == {"input_ids", "attention_mask", "index", "labels", *counts}
    assert {batch[name].dtype for name in ("input_ids", "attention_mask")} == {torch.int64}


def test_token_types_are_padded_with_their_own_number() -> None:
    rows = [{**row, "token_type_ids": [1] * len(row["input_ids"])} for row in ROWS]
    batch = PaddingCollator(pad_token_id=9, pad_token_type_id=3)(rows)
    assert batch["token_type_ids"].tolist() == [[1, 1, 3], [1, 1, 1]]


@pytest.mark.parametrize(
    ("longest", "padded"), [(1, 8), (8, 8), (9, 16), (16, 16), (17, 64), (64, 64)]
)
def test_takes_the_smallest_fixed_length_that_fits(longest: int, padded: int) -> None:
    rows = [{"input_ids": [1] * longest, "index": 0}, {"input_ids": [1], "index": 1}]
    batch = PaddingCollator(fixed_lengths=(8, 16, 64))(rows)
    assert batch["input_ids"].shape == (2, padded)
    assert batch["attention_mask"].sum().item() == longest + 1


@pytest.mark.parametrize(("longest", "padded"), [(1, 8), (8, 8), (9, 16), (23, 24)])
def test_rounds_up_to_a_multiple(longest: int, padded: int) -> None:
    batch = PaddingCollator(pad_to_multiple_of=8)([{"input_ids": [1] * longest, "index": 0}])
    assert batch["input_ids"].shape == (1, padded)


def test_counts_real_tokens_only() -> None:
    rows = [{**ROWS[0], "row_weight": 1.5}, {**ROWS[1], "row_weight": 0.0}]
    batch = PaddingCollator(pad_to_multiple_of=8)(rows)
    assert batch["num_tokens"] == 2  # neither padding nor the filler row
    assert batch["num_rows"] == 1
    assert batch["row_weight"].tolist() == [1.5, 0.0]


def test_weights_are_left_out_where_all_are_one() -> None:
    rows = [{**row, "row_weight": 1.0} for row in ROWS]
    assert "row_weight" not in PaddingCollator()(rows)
    assert PaddingCollator(always_weighted=True)(rows)["row_weight"].tolist() == [1.0, 1.0]


def test_unlabelled_rows_have_no_labels() -> None:
    assert "labels" not in PaddingCollator()([{"input_ids": [1], "index": 0}])


def test_several_labels_a_row_are_stacked() -> None:
    rows = [{**ROWS[0], "labels": [0.0, 1.0]}, {**ROWS[1], "labels": [1.0, 1.0]}]
    labels = PaddingCollator(label_dtype=torch.float32)(rows)["labels"]
    assert labels.dtype == torch.float32
    assert labels.tolist() == [[0, 1], [1, 1]]


def test_labelled_and_task_weights_are_there_only_with_unlabelled_rows() -> None:
    assert not {"labelled", "task_weight"} & set(PaddingCollator()(ROWS))
    keys = [{"labelled": True, "task_weight": 2.0}, {"labelled": False, "task_weight": 0.0}]
    rows = [{**row, **key} for row, key in zip(ROWS, keys, strict=False)]
    batch = PaddingCollator()(rows)
    assert batch["labelled"].tolist() == [True, False]
    assert batch["task_weight"].tolist() == [2.0, 0.0]
    assert "row_weight" not in batch
