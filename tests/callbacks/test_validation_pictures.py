from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from sklearn.metrics import confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import ValidationPictures
from callbacks.validation_pictures import confusion_counts, worst_rows
from lightning_app.errors import InputError
from lightning_app.task import METRICS_BY_PROBLEM, ProblemType, Task
from modules import TextClassifier
from tests.tiny_fit import fit, quiet_trainer, reviews_data


def task(problem: ProblemType, num_labels: int) -> Task:
    metrics = METRICS_BY_PROBLEM[problem]
    return Task("own", ("text",), tuple("abc"[:num_labels]), problem, metrics, metrics)


def test_confusion_counts_by_hand() -> None:
    logits = torch.eye(3)[[0, 0, 1, 2, 2, 0]]
    counts = confusion_counts(logits, torch.tensor([0, 1, 1, 2, 0, 1]), 3)
    assert counts.tolist() == [[1, 0, 1], [2, 1, 0], [0, 0, 1]]


def test_confusion_counts_equal_scikit_learn() -> None:
    logits, labels = torch.randn(100, 4), torch.randint(3, (100,))  # class 3 is never true
    expected = confusion_matrix(labels, logits.argmax(-1), labels=range(4))
    assert confusion_counts(logits, labels, 4).tolist() == expected.tolist()


def test_worst_rows_are_the_wrong_ones_with_the_highest_loss() -> None:
    # Wrong by 1, right, wrong by 3, barely right (the highest loss of the right ones), wrong by 2.
    logits = torch.tensor([[1.0, 0], [0, 5], [3, 0], [0, 0.01], [2, 0]])
    labels = torch.tensor([1, 1, 1, 1, 1])
    own = task("single_label_classification", 2)
    assert worst_rows(logits, labels, own, 10) == [2, 4, 0]
    assert worst_rows(logits, labels, own, 2) == [2, 4]
    assert worst_rows(logits[[1, 3]], labels[[1, 3]], own, 2) == []


def test_worst_rows_of_several_labels_have_at_least_one_wrong() -> None:
    logits = torch.tensor([[2.0, -2], [2, 2], [-4, 4]])
    labels = torch.tensor([[1.0, 0], [1, 0], [1, 0]])
    assert worst_rows(logits, labels, task("multi_label_classification", 2), 3) == [2, 1]


def test_worst_rows_of_a_regression_are_the_farthest() -> None:
    logits, labels = torch.tensor([[0.0], [3.0], [1.0]]), torch.tensor([1.0, 5.0, 1.0])
    assert worst_rows(logits, labels, task("regression", 1), 3) == [1, 0, 2]


def events(folder: str) -> EventAccumulator:
    accumulator = EventAccumulator(folder)
    accumulator.Reload()
    return accumulator


@pytest.mark.parametrize(
    ("labels", "pictures"), [(("a", "b"), 1), (("0.5", "1.5"), 1), (("a|b", "b"), 0)]
)
def test_picture_and_mistakes_are_written_after_validation(
    tiny_model: str, tmp_path: Path, labels: tuple[str, str], pictures: int
) -> None:
    rows = "".join(f"the film {i} | two,{labels[i % 2]}\n" for i in range(8))
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + rows)
    logger = TensorBoardLogger(tmp_path, "log", 0)
    data = reviews_data(tmp_path, label_separator="|" if "|" in labels[0] else None)
    trainer = quiet_trainer(ValidationPictures(3), logger=logger, log_every_n_steps=1)
    trainer.fit(TextClassifier(tiny_model), datamodule=data)
    logger.experiment.flush()
    written = events(logger.log_dir)
    assert written.Tags()["images"] == ["val/errors"] * pictures
    (tag,) = [tag for tag in written.Tags()["tensors"] if "mistakes" in tag]
    (event,) = written.Tensors(tag)
    lines = event.tensor_proto.string_val[0].decode().split("\n")
    assert event.step == trainer.global_step - 1 == 1
    assert lines[0] == "| row | text | label | prediction |"
    assert 1 <= len(lines[2:]) <= 3
    for line in lines[2:]:
        number = int(line.split("|")[1])
        assert f"| {number} | the film {number} \\| two | " in line


def test_nothing_is_written_without_tensorboard(tiny_model: str, reviews: Path) -> None:
    figures: list[Any] = []
    callback = ValidationPictures()
    callback.on_validation_end = lambda *a: figures.append(  # type: ignore[method-assign]
        ValidationPictures.on_validation_end(callback, *a)
    )
    fit(tiny_model, reviews, callback)
    assert figures == [None]


def test_refuses_a_negative_number() -> None:
    with pytest.raises(InputError, match=r"`num_mistakes` to be at least 0, got -1"):
        ValidationPictures(-1)
