import csv
from pathlib import Path
from typing import Any

import pytest

import lightning_app
from callbacks import PredictionWriter
from datamodules import GLUEDataModule
from datamodules.embedded_folder import embedded_folder
from datamodules.glue_tasks import glue_task
from lightning_app.commands.export import Export
from lightning_app.commands.predict_artifact import PredictArtifact
from lightning_app.errors import InputError
from lightning_app.task import ProblemType
from modules import TextClassifier
from tests.lightning_app.artifact.tiny_checkpoint import built, saved, task
from tests.tiny_fit import quiet_trainer, reviews_data

TEXTS = [f"the {'very ' * (i * 5 % 7)}bad film {i}" for i in range(40)]


def exported(model: TextClassifier, folder: Path, **options: Any) -> tuple[Path, str]:
    checkpoint = saved(model, folder / "x.ckpt")
    Export(str(checkpoint), str(folder / "out"), **options, measure=False).run()
    return checkpoint, str(folder / "out")


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter="\t"))


def by_the_trainer(checkpoint: Path, data: Any, folder: Path) -> list[Path]:
    """What `glint predict --ckpt_path` writes."""
    writer = PredictionWriter(str(folder))
    model = TextClassifier.load_from_checkpoint(checkpoint)
    quiet_trainer(writer).predict(model, datamodule=data, return_predictions=False)
    return writer.written


@pytest.mark.parametrize(("trained", "predicted"), [("mnli", None), ("mnli", "ax"), ("stsb", None)])
def test_submission_files_are_those_of_the_checkpoint(
    trained: str, predicted: str | None, tiny_model: str, tmp_path: Path
) -> None:
    model = built(tiny_model, glue_task(trained).task)
    checkpoint, artifact = exported(model, tmp_path, max_seq_length=24)
    output = tmp_path / "ours"
    files = PredictArtifact(
        artifact, data=str(embedded_folder()), output=str(output), task_name=predicted
    ).write()
    data = GLUEDataModule(predicted or trained, dataset="embedded", max_seq_length=24)
    expected = by_the_trainer(checkpoint, data, tmp_path / "theirs")
    assert [file.name for file in files] == [file.name for file in expected]
    for ours, theirs in zip(files, expected, strict=True):
        several = len({answer for _, answer in table(ours)[1:]}) > 1
        assert several or predicted == "ax", "one answer would prove nothing"
        assert ours.read_text() == theirs.read_text()
    assert sorted(output.iterdir()) == sorted(files)


PROBLEMS: dict[ProblemType, tuple[str, ...]] = {
    "single_label_classification": ("no", "yes"),
    "multi_label_classification": ("a", "b", "c"),
    "regression": ("value",),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_table_of_a_file_is_that_of_the_checkpoint(
    problem: ProblemType, tiny_model: str, tmp_path: Path
) -> None:
    model = built(tiny_model, task(*PROBLEMS[problem], problem=problem, columns=1))
    checkpoint, artifact = exported(model, tmp_path)
    file = tmp_path / "rows.csv"
    file.write_text("text,label\n" + "".join(f"{text},never seen\n" for text in TEXTS))
    output = tmp_path / "new/answers.tsv"
    arguments = {"data": str(file), "output": str(output), "threads": 1, "batch_size": 7}
    assert PredictArtifact(artifact, **arguments).write() == [output]
    opened = lightning_app.load(artifact)
    found = table(output)
    assert [row[0] for row in found[1:]] == [str(i) for i in range(len(TEXTS))]
    for row, answer in zip(found[1:], opened(TEXTS), strict=True):
        if problem == "regression":
            assert float(row[1]) == pytest.approx(answer["score"], rel=1e-4)
            continue
        assert row[1] == ("|".join(answer["label"]) if "multi" in problem else answer["label"])
        assert list(map(float, row[2:])) == pytest.approx(list(answer["scores"].values()), abs=2e-6)
    if problem == "single_label_classification":
        (tmp_path / "test.csv").write_text("text\n" + "".join(f"{text}\n" for text in TEXTS))
        for name in ("train", "validation"):
            (tmp_path / f"{name}.csv").write_text("text,label\na,no\nb,yes\n")
        data = reviews_data(tmp_path, test_file=str(tmp_path / "test.csv"))
        (theirs,) = by_the_trainer(checkpoint, data, tmp_path / "theirs")
        assert [row[:2] for row in table(theirs)] == [row[:2] for row in found]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "`--text` to answer on the terminal, or `--data` and `--output` .*, got neither"),
        ({"text": "a", "data": "b", "output": "c"}, "got both"),
        ({"data": "b"}, "`--output` with `--data`, got one without the other"),
        ({"text": "a", "output": "c"}, "`--output` with `--data`, got one without the other"),
        ({"data": "b", "output": "c", "text_pair": "d"}, "`--text_pair` with `--text`"),
        ({"text": "a", "batch_size": 0}, "`--batch_size` to be at least 1, got 0"),
    ],
)
def test_options_must_agree(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        PredictArtifact("never opened", **options)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("absent", r"`--data` to end in .csv, .*, or to be a GLUE folder .*, got '.*absent'"),
        ("absent.csv", "Expected `--data` to be a file, got"),
        ("other.csv", r"the column 'text' \(`--data`\), but its columns are words"),
        ("", r"a file as `--data` for task 'own', as a folder holds GLUE's"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(
    data: str, sentence: str, tiny_model: str, tmp_path: Path
) -> None:
    _, artifact = exported(built(tiny_model, task("no", "yes", columns=1)), tmp_path)
    (tmp_path / "other.csv").write_text("words\nhello\n")
    options = {"data": str(tmp_path / data), "output": str(tmp_path / "answers.tsv")}
    with pytest.raises(InputError, match=sentence):
        PredictArtifact(artifact, **options).write()
    options["data"] = str(tmp_path / "other.csv")
    with pytest.raises(InputError, match="`--task_name` with a folder of GLUE's tasks"):
        PredictArtifact(artifact, **options, task_name="mnli").write()
    assert not (tmp_path / "answers.tsv").exists()
