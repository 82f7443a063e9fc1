import csv
from pathlib import Path

import pytest
import torch

from callbacks import PredictionWriter
from datamodules.glue_tasks import GLUE_TASKS, glue_task
from lightning_app.task import ProblemType
from modules import TextClassifier
from modules.prediction_lines import submission_lines
from tests.tiny_fit import fit, quiet_trainer, reviews_data

LOGITS = torch.tensor([[0.0, 1.0, -1.0], [2.0, 1.0, 0.0], [0.0, 1.0, 3.0]])

# Classes 1, 0 and 2 (1 where there are two) as the leaderboard wants them.
ANSWERS = {
    "cola": ["1", "0", "1"],
    "sst2": ["1", "0", "1"],
    "mrpc": ["1", "0", "1"],
    "qqp": ["1", "0", "1"],
    "wnli": ["1", "0", "1"],
    "mnli": ["neutral", "entailment", "contradiction"],
    "ax": ["neutral", "entailment", "contradiction"],
    "qnli": ["not_entailment", "entailment", "not_entailment"],
    "rte": ["not_entailment", "entailment", "not_entailment"],
    "stsb": ["0.000", "2.346", "5.000"],
}


@pytest.mark.parametrize("name", list(GLUE_TASKS))
def test_submission_lines_by_hand(name: str) -> None:
    glue = glue_task(name)
    logits = LOGITS[:, : glue.task.num_labels]
    if name == "stsb":  # scores are kept in [0, 5]
        logits = torch.tensor([[-0.3], [2.3456], [5.7]])
    elif glue.task.num_labels == 2:
        logits = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    lines = submission_lines(logits, glue.task, glue.answer)
    assert lines == [
        "index\tprediction",
        *(f"{row}\t{answer}" for row, answer in enumerate(ANSWERS[name])),
    ]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


PREDICTED: dict[ProblemType, tuple[list[str], list[str]]] = {
    # Labels of four training rows.
    "single_label_classification": (["b", "a", "c", "a"], ["a", "b", "c"]),
    "multi_label_classification": (["a|b", "c", "b", "a"], ["a", "b", "c"]),
    "regression": (["0.5", "1.5", "2.5", "0.5"], []),
}


@pytest.mark.parametrize("problem", list(PREDICTED))
def test_own_table_holds_each_row_in_its_order(
    tiny_model: str, tmp_path: Path, problem: ProblemType
) -> None:
    labels, columns = PREDICTED[problem]
    rows = "".join(f"the {'very ' * i}good film,{label}\n" for i, label in enumerate(labels))
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + rows)
    texts = [f"the {'very ' * (i * 5 % 7)}bad film {i}" for i in range(9)]
    (tmp_path / "test.csv").write_text("text\n" + "\n".join(texts) + "\n")
    data = reviews_data(
        tmp_path,
        test_file=str(tmp_path / "test.csv"),
        label_separator="|" if "multi" in problem else None,
    )
    model = TextClassifier(tiny_model)
    writer = PredictionWriter(str(tmp_path / "out"))
    quiet_trainer(writer).predict(model, datamodule=data, return_predictions=False)
    assert writer.written == [tmp_path / "out" / "predictions.tsv"]
    found = table(writer.written[0])
    assert list(found[0]) == ["index", "prediction", *columns]
    assert [row["index"] for row in found] == [str(i) for i in range(9)]
    for row, answer in zip(found, model.classify(texts), strict=True):
        if problem == "regression":
            assert float(row["prediction"]) == pytest.approx(answer["score"], rel=1e-4)
            continue
        chosen = answer["label"]
        expected = "|".join(chosen) if isinstance(chosen, list) else chosen
        assert row["prediction"] == expected
        scores = [float(row[column]) for column in columns]
        assert scores == pytest.approx(list(answer["scores"].values()), abs=2e-6)


def test_glue_files_are_written_for_each_split(tiny_model: str, tmp_path: Path) -> None:
    from datamodules import GLUEDataModule

    writer = PredictionWriter(str(tmp_path))
    data = GLUEDataModule("mnli", dataset="embedded", max_seq_length=16)
    model = TextClassifier(tiny_model)
    quiet_trainer(writer).predict(model, datamodule=data, return_predictions=False)
    assert [path.name for path in writer.written] == ["MNLI-m.tsv", "MNLI-mm.tsv"]
    for path in writer.written:
        rows = table(path)
        assert [row["index"] for row in rows] == [str(i) for i in range(500)]
        assert {row["prediction"] for row in rows} <= {"entailment", "neutral", "contradiction"}
    raw = data.raw_split("test_matched")
    answers = model.classify(raw["premise"][:20], raw["hypothesis"][:20], max_seq_length=16)
    written = [row["prediction"] for row in table(writer.written[0])[:20]]
    assert written == [answer["label"] for answer in answers]


def test_a_fit_writes_nothing(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    fit(tiny_model, reviews, PredictionWriter(str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()
