from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import GLUEDataModule
from datamodules.embedded import EMBEDDED_TASKS
from datamodules.glue_tasks import GLUE_TASKS, glue_task
from lightning_app.errors import InputError

PAIR = ("sentence1", "sentence2")
NLI = ("entailment", "neutral", "contradiction")

# Wang et al. 2018, table 1; numbers of the classes as in the hub's nyu-mll/glue.
TABLE: dict[str, tuple[tuple[str, ...], tuple[str, ...], set[str]]] = {
    "cola": (("sentence",), ("unacceptable", "acceptable"), {"matthews"}),
    "sst2": (("sentence",), ("negative", "positive"), {"accuracy"}),
    "mrpc": (PAIR, ("not_equivalent", "equivalent"), {"accuracy", "f1"}),
    "stsb": (PAIR, ("similarity",), {"pearson", "spearman"}),
    "qqp": (("question1", "question2"), ("not_duplicate", "duplicate"), {"accuracy", "f1"}),
    "mnli": (("premise", "hypothesis"), NLI, {"accuracy"}),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment"), {"accuracy"}),
    "rte": (PAIR, ("entailment", "not_entailment"), {"accuracy"}),
    "wnli": (PAIR, ("not_entailment", "entailment"), {"accuracy"}),
    "ax": (("premise", "hypothesis"), NLI, {"matthews"}),
}


@pytest.mark.parametrize("name", list(TABLE))
def test_columns_labels_and_score_are_those_of_glue(name: str) -> None:
    task = glue_task(name).task
    assert (task.text_columns, task.label_names, set(task.score_metrics)) == TABLE[name]
    assert set(task.score_metrics) <= set(task.metrics)
    assert task.problem_type == ("regression" if name == "stsb" else "single_label_classification")


def test_there_are_ten_tasks_and_the_embedded_data_has_them_all() -> None:
    assert list(GLUE_TASKS) == list(TABLE)
    assert set(EMBEDDED_TASKS) == set(TABLE)


def test_submission_files_are_those_of_the_leaderboard() -> None:
    files = {file for task in GLUE_TASKS.values() for file in task.submission_files.values()}
    stems = "CoLA SST-2 MRPC STS-B QQP MNLI-m MNLI-mm QNLI RTE WNLI AX"
    assert files == {f"{stem}.tsv" for stem in stems.split()}


@pytest.mark.parametrize("name", ["cola", "sst2", "mrpc", "stsb", "qnli"])
def test_hub_layout_is_read_and_its_labels_are_the_tables(glue_folder: str, name: str) -> None:
    raw = GLUEDataModule(name, dataset=glue_folder).raw_split("validation")
    task = glue_task(name).task
    assert set(task.text_columns) <= set(raw.column_names)
    labels = np.array(raw["label"])
    if name == "stsb":
        assert (labels.min(), labels.max()) == (0.0, 5.0)
    else:
        assert set(labels.tolist()) == set(range(task.num_labels))
        assert tuple(raw.features["label"].names) == task.label_names


def test_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"cola, sst2, .*wnli, ax, got 'msmarco'"):
        GLUEDataModule("msmarco")


def test_ax_cannot_be_trained() -> None:
    with pytest.raises(InputError, match=r"got 'ax': train with `data.task_name=mnli`"):
        GLUEDataModule("ax", dataset="embedded").prepare_data()


def test_hidden_labels_cannot_be_scored() -> None:
    with pytest.raises(InputError, match=r"GLUE hides the labels of rte's"):
        _ = GLUEDataModule("rte", dataset="embedded").test_splits


def test_missing_data_set_and_broken_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"could not be reached .* `--data.dataset embedded`"):
        GLUEDataModule("mrpc", dataset="nobody/nothing").raw_split("train")
    with pytest.raises(InputError, match=r"Expected the folder .* mrpc's train split"):
        GLUEDataModule("mrpc", dataset=str(tmp_path)).raw_split("train")


def test_label_out_of_range_is_refused_with_its_row() -> None:
    encode = GLUEDataModule("rte").label_encoder("train")
    assert encode is not None
    assert encode([0, 1, 1], 0) == [0, 1, 1]
    with pytest.raises(InputError, match=r"entailment, not_entailment in rte train, but row 12 "):
        encode([0, 2], 10)


def module(task_name: str, tiny_model: str, **options: Any) -> GLUEDataModule:
    data = GLUEDataModule(task_name, dataset="embedded", tokenizer=tiny_model, **options)
    data.prepare_data()
    data.setup("fit")
    return data


def test_embedded_task_from_rows_to_batches(tiny_model: str) -> None:
    data = module("rte", tiny_model, max_seq_length=48)
    raw = data.raw_split("train")
    seen: list[int] = []
    for batch in data.train_dataloader():
        assert batch["input_ids"].shape == batch["attention_mask"].shape
        assert batch["input_ids"].shape[1] <= 48
        assert batch["num_tokens"] == batch["attention_mask"].sum().item()
        seen.extend(batch["index"].tolist())
    assert sorted(seen) == list(range(len(raw))) == list(range(2400))
    first = next(iter(data.val_dataloader()[0]))
    row = data.raw_split("validation")[int(first["index"][0])]
    tokens = data.tokenizer(row["sentence1"], row["sentence2"], truncation=True, max_length=48)
    length = len(tokens["input_ids"])
    assert first["input_ids"][0, :length].tolist() == tokens["input_ids"]
    assert first["token_type_ids"][0, :length].tolist() == tokens["token_type_ids"]
    assert first["labels"][0] == row["label"]


def test_test_split_is_predicted_without_labels(tiny_model: str) -> None:
    data = GLUEDataModule("rte", dataset="embedded", tokenizer=tiny_model)
    data.setup("predict")
    batches = list(data.predict_dataloader()[0])
    assert not any("labels" in batch for batch in batches)
    assert sum(len(batch["index"]) for batch in batches) == 400


def test_mnli_is_validated_and_predicted_on_two_sets(tiny_model: str) -> None:
    data = module("mnli", tiny_model)
    assert [len(loader.dataset) for loader in data.val_dataloader()] == [500, 500]
    assert data.split_names("validate") == ("validation_matched", "validation_mismatched")
    assert data.split_names("predict") == ("test_matched", "test_mismatched")


def test_folds_cut_the_training_set_and_leave_the_validation_set_alone(tiny_model: str) -> None:
    held_back: list[int] = []
    for fold in range(3):
        data = module("rte", tiny_model, num_folds=3, fold=fold)
        (loader,) = data.val_dataloader()
        rows = [row for batch in loader for row in batch["index"].tolist()]
        train = [row for batch in data.train_dataloader() for row in batch["index"].tolist()]
        assert sorted([*rows, *train]) == list(range(2400))
        assert data.split_names("validate") == ("train",)
        assert "validation" not in data._raw
        held_back.extend(rows)
    assert sorted(held_back) == list(range(2400))
