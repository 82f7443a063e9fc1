import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datamodules import TextFilesDataModule
from lightning_app.errors import InputError

Rows = Sequence[dict[str, Any]]


def write(path: Path, rows: Rows) -> str:
    """In the format of the path's ending."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix in (".jsonl", ".json"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        lines = [rows[0].keys(), *(row.values() for row in rows)]
        cells = (["" if cell is None else str(cell) for cell in line] for line in lines)
        path.write_text("".join(separator.join(line) + "\n" for line in cells))
    return str(path)


def labelled(*labels: Any) -> list[dict[str, Any]]:
    return [{"text": f"the film {i}", "label": label} for i, label in enumerate(labels)]


def module(tmp_path: Path, rows: Rows, ending: str = ".jsonl", **options: Any) -> Any:
    return TextFilesDataModule(write(tmp_path / f"train{ending}", rows), **options)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_each_format_gives_the_same_rows(tmp_path: Path, tiny_model: str, ending: str) -> None:
    rows = [{"text": f"the {'very ' * n}good film", "label": n % 3} for n in range(12)]
    data = module(tmp_path, rows, ending, tokenizer=tiny_model, validation_fraction=0.5)
    data.prepare_data()
    data.setup("fit")
    assert data.task.label_names == ("0", "1", "2")
    assert data.task.name == "train"
    found = {}
    for loader in (data.train_dataloader(), *data.val_dataloader()):
        for batch in loader:
            tokens = batch["attention_mask"].sum(1).tolist()
            places, labels = batch["index"].tolist(), batch["labels"].tolist()
            found.update(zip(places, zip(tokens, labels, strict=True), strict=True))
    # "the good film" and two special tokens are 5.
    assert found == {n: (5 + n, n % 3) for n in range(12)}


@pytest.mark.parametrize(
    ("ending", "labels", "problem", "names"),
    [
        (".csv", [10, 9, 1, 9], "single_label_classification", ("1", "9", "10")),
        (".csv", ["no", "yes", "no"], "single_label_classification", ("no", "yes")),
        (".csv", [1.5, 2.0, 3.25], "regression", ("value",)),
        (".csv", [True, False], "single_label_classification", ("False", "True")),
        (".jsonl", [True, False], "single_label_classification", ("False", "True")),
        (".jsonl", ["10", "9", "b", "a"], "single_label_classification", ("9", "10", "a", "b")),
        (
            ".jsonl",
            ["nan", "inf", "b", "1"],
            "single_label_classification",
            ("1", "b", "inf", "nan"),
        ),
        (".jsonl", [["b", "a"], ["c"], ["a"]], "multi_label_classification", ("a", "b", "c")),
        (".parquet", [[2, 10], [2]], "multi_label_classification", ("2", "10")),
        (".parquet", [0.5, -1.0], "regression", ("value",)),
    ],
)
def test_labels_are_inferred_in_natural_order(
    tmp_path: Path, ending: str, labels: list[Any], problem: str, names: tuple[str, ...]
) -> None:
    task = module(tmp_path, labelled(*labels), ending).task
    assert task.problem_type == problem
    assert task.label_names == names


def test_separator_makes_several_labels(tmp_path: Path) -> None:
    rows = labelled("red|blue", "green", "blue | red", "")
    data = module(tmp_path, rows, label_separator="|")
    assert data.task.problem_type == "multi_label_classification"
    assert data.task.label_names == ("blue", "green", "red")
    encode = data.label_encoder("train")
    assert encode([row["label"] for row in rows], 0) == [[1, 0, 1], [0, 1, 0], [1, 0, 1], [0] * 3]


def test_classes_are_numbered_in_the_order_of_their_names(tmp_path: Path) -> None:
    encode = module(tmp_path, labelled(10, 9, 10)).label_encoder("train")
    assert encode([10, 9, 10], 0) == [1, 0, 1]


def test_problem_type_can_be_given(tmp_path: Path) -> None:
    data = module(tmp_path, labelled(1, 2, 5), problem_type="regression")
    assert data.task.problem_type == "regression"
    assert data.label_encoder("train")([1, 5], 0) == [1.0, 5.0]


@pytest.mark.parametrize(
    ("labels", "metrics"),
    [
        ([0, 1], ("accuracy", "f1", "matthews")),
        ([0.5, 1.5], ("pearson", "spearman")),
        ([["a"], ["b"]], ("accuracy", "f1")),
    ],
)
def test_all_metrics_that_suit_are_the_default(
    tmp_path: Path, labels: list[Any], metrics: tuple[str, ...]
) -> None:
    task = module(tmp_path, labelled(*labels)).task
    assert (task.metrics, task.score_metrics) == (metrics, metrics)


def test_metrics_can_be_chosen_but_must_suit(tmp_path: Path) -> None:
    assert module(tmp_path, labelled(0, 1), metrics=["f1"]).task.score_metrics == ("f1",)
    with pytest.raises(InputError, match=r"`metrics` .* accuracy, f1, matthews, got 'pearson'"):
        _ = module(tmp_path, labelled(0, 1), metrics=["pearson"]).task


@pytest.mark.parametrize(
    ("fraction", "held_back"), [(0.1, 10), (0.2, 20), (0.3, 30), (0.4, 40), (0.5, 50)]
)
def test_holds_back_a_stratified_share_of_the_training_rows(
    tmp_path: Path, tiny_model: str, fraction: float, held_back: int
) -> None:
    rows = labelled(*["a"] * 70, *["b"] * 30)
    data = module(tmp_path, rows, tokenizer=tiny_model, validation_fraction=fraction)
    data.setup("fit")
    validation = [row for batch in data.val_dataloader()[0] for row in batch["index"].tolist()]
    train = [row for batch in data.train_dataloader() for row in batch["index"].tolist()]
    assert sorted([*train, *validation]) == list(range(100))
    assert len(validation) == held_back
    assert sum(row < 70 for row in validation) == pytest.approx(0.7 * held_back, abs=1)
    assert data.split_names("validate") == ("train",)


def test_several_labels_are_held_back_by_their_combination(tmp_path: Path, tiny_model: str) -> None:
    rows = labelled(*[["a", "b"]] * 60, *[["b"]] * 30, *[["c"]] * 10)
    data = module(tmp_path, rows, tokenizer=tiny_model)
    data.setup("fit")
    labels = [row for batch in data.val_dataloader()[0] for row in batch["labels"].tolist()]
    combinations = [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert [labels.count(combination) for combination in combinations] == [6, 3, 1]


def test_validation_file_is_used_where_there_is_one(tmp_path: Path, tiny_model: str) -> None:
    validation = write(tmp_path / "val.csv", labelled("yes", "no", "yes"))
    data = module(tmp_path, labelled("no", "yes"), tokenizer=tiny_model, validation_file=validation)
    data.setup("fit")
    labels = np.concatenate([batch["labels"] for batch in data.val_dataloader()[0]])
    assert sorted(labels.tolist()) == [0, 1, 1]
    assert sum(len(batch["index"]) for batch in data.train_dataloader()) == 2
    assert data.split_names("validate") == ("validation",)


def test_part_of_the_training_rows(tmp_path: Path, tiny_model: str) -> None:
    rows = labelled(*["a"] * 70, *["b"] * 30)
    data = module(tmp_path, rows, tokenizer=tiny_model, num_folds=5, max_train_rows=20)
    data.setup("fit")
    train = [row for batch in data.train_dataloader() for row in batch["index"].tolist()]
    assert len(train) == 20
    assert sum(row < 70 for row in train) == 14


def test_unlabelled_test_file_is_predicted(tmp_path: Path, tiny_model: str) -> None:
    test = write(tmp_path / "test.jsonl", [{"text": "a"}, {"text": "b"}])
    data = module(tmp_path, labelled(0, 1), test_file=test, tokenizer=tiny_model)
    data.setup("predict")
    batches = list(data.predict_dataloader()[0])
    assert [batch["index"].tolist() for batch in batches] == [[0, 1]]
    assert "labels" not in batches[0]


def prepare(data: TextFilesDataModule) -> None:
    data.setup("fit")
    data.train_dataloader()


REFUSED: list[tuple[str, Rows, dict[str, Any], str]] = [
    (".csv", labelled(0, 1), {"text_columns": ["review"]}, r"'review' .*columns are text, label"),
    (".csv", labelled(0, 1), {"label_column": "stars"}, r"'stars' \(`data.label_column`\)"),
    (".csv", labelled(0, None, 1), {}, r"a label in the column 'label' .* row 2 \(counting from 1"),
    (".jsonl", [{"text": "a", "label": 0}, {"text": None, "label": 1}], {}, r"text .* row 2 "),
    (".jsonl", [{"text": 3, "label": 0}], {}, r"'text' .* to hold text, but it holds int64 .*3"),
    (".jsonl", labelled(1, 1), {}, r"2 to 1000 different labels, got 1"),
    (".csv", labelled("a", "b"), {"problem_type": "regression"}, r"numbers .*first row: 'a'"),
    (".parquet", labelled(0.5, float("nan")), {}, r"number .*but row 2 .* nan"),
]


@pytest.mark.parametrize(("ending", "rows", "options", "message"), REFUSED)
def test_refuses_wrong_rows(
    tmp_path: Path, tiny_model: str, ending: str, rows: Rows, options: dict[str, Any], message: str
) -> None:
    data = module(tmp_path, rows, ending, tokenizer=tiny_model, **options)
    with pytest.raises(InputError, match=message):
        prepare(data)


def test_names_the_first_empty_row_of_a_csv(tmp_path: Path, tiny_model: str) -> None:
    (tmp_path / "train.csv").write_text("text,label\ngood,1\n,0\n,1\n")
    with pytest.raises(InputError, match="row 2 "):
        prepare(TextFilesDataModule(str(tmp_path / "train.csv"), tokenizer=tiny_model))


def test_unknown_label_in_validation_is_refused_with_its_row(
    tmp_path: Path, tiny_model: str
) -> None:
    validation = write(tmp_path / "val.csv", labelled("yes", "no", "maybe"))
    data = module(tmp_path, labelled("no", "yes"), tokenizer=tiny_model, validation_file=validation)
    with pytest.raises(InputError, match=r"among no, yes in .*val.csv, but row 3 .* 'maybe'"):
        prepare(data)


def test_text_among_regression_targets_is_refused_with_its_row(
    tmp_path: Path, tiny_model: str
) -> None:
    validation = write(tmp_path / "val.csv", labelled("0.5", "high"))
    data = module(tmp_path, labelled(0.5, 1.5), tokenizer=tiny_model, validation_file=validation)
    with pytest.raises(InputError, match=r"number in .*val.csv, but row 2 .* 'high'"):
        prepare(data)


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`data.train_file` to be a file, got .*none.csv"):
        TextFilesDataModule(str(tmp_path / "none.csv")).raw_split("train")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match=r"empty.csv' is empty"):
        TextFilesDataModule(str(tmp_path / "empty.csv")).raw_split("train")
    (tmp_path / "header.csv").write_text("text,label\n")
    with pytest.raises(InputError, match=r"header.csv .*it holds no rows"):
        TextFilesDataModule(str(tmp_path / "header.csv")).raw_split("train")
    with pytest.raises(InputError, match=r"`data.test_file` for this command, got None"):
        TextFilesDataModule(str(tmp_path / "header.csv")).raw_split("test")


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": 1}\n{"text": \n')
    with pytest.raises(InputError, match=r"bad.jsonl to be readable as json"):
        TextFilesDataModule(str(tmp_path / "bad.jsonl")).raw_split("train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_file": "a.xlsx"}, r"`data.train_file` to end in .csv, .* got 'a.xlsx'"),
        ({"test_file": "a"}, r"`data.test_file` to end in"),
        ({"text_columns": ["a", "b", "c"]}, r"one or two columns, got 3: a, b, c"),
        ({"validation_fraction": 0.0}, r"`data.validation_fraction` .* got 0.0"),
        ({"validation_fraction": 0.6}, r"`data.validation_fraction` .* got 0.6"),
        ({"train_file": "a.csv", "streaming": True}, r"`data.validation_file` with"),
        ({"max_seq_length": 0}, r"`data.max_seq_length` to be at least 1, got 0"),
        ({"train_batch_size": 0}, r"`data.train_batch_size` to be at least 1, got 0"),
        ({"fixed_lengths": [32, 64]}, r"to include max_seq_length=128, got \[32, 64\]"),
        ({"num_folds": 1}, r"num_folds=1, fold=0"),
        ({"num_folds": 5, "fold": 5}, r"num_folds=5, fold=5"),
    ],
)
def test_refuses_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TextFilesDataModule(**options)


def test_streaming_gives_the_rows_of_the_file(tmp_path: Path, tiny_model: str) -> None:
    rows = labelled(*[i % 2 for i in range(20)])
    file = write(tmp_path / "val.jsonl", rows)
    data = module(
        tmp_path,
        rows,
        tokenizer=tiny_model,
        validation_file=file,
        streaming=True,
        train_batch_size=5,
    )
    data.setup("fit")
    found = {}
    for batch in data.train_dataloader():
        found.update(zip(batch["index"].tolist(), batch["labels"].tolist(), strict=True))
    assert found == {i: i % 2 for i in range(20)}


def test_a_stream_is_not_cached_and_its_rows_are_checked(tmp_path: Path, tiny_model: str) -> None:
    rows = labelled(*[i % 2 for i in range(20)])
    options: dict[str, Any] = {
        "tokenizer": tiny_model,
        "validation_file": write(tmp_path / "val.jsonl", rows),
        "streaming": True,
        "train_batch_size": 5,
    }
    data = module(tmp_path, rows, ".jsonl", **options)
    data.setup("fit")
    assert len(list(data.train_dataloader())) == 4
    assert set(data._raw) == {"validation"}
    rows[12]["text"] = None
    broken = module(tmp_path, rows, ".jsonl", **options)
    broken.setup("fit")
    with pytest.raises(InputError, match=r"column 'text', but row 13 .* has None"):
        list(broken.train_dataloader())
    rows[3]["label"] = None
    unlabelled = module(tmp_path, rows, ".jsonl", **options)
    with pytest.raises(InputError, match=r"Expected a label in each row of .*some have none"):
        unlabelled.setup("fit")
