"""Flips, slices and examples, by hand."""

import pytest
import torch

from lightning_app.commands.task_rows import TaskRows
from lightning_app.report import slices
from lightning_app.report.answers import Answers, contestants
from lightning_app.report.changes import _blocks
from lightning_app.report.comparison import compare, row_quality
from lightning_app.report.findings import Model
from lightning_app.task import Task

ACCURACY = ("accuracy",)
PAIRS = Task("t", ("a", "b"), ("no", "yes"), "single_label_classification", ACCURACY, ACCURACY)
TAGS = Task("t", ("a",), ("x", "y", "z"), "multi_label_classification", ACCURACY, ACCURACY)
VALUES = Task("t", ("a",), ("value",), "regression", ("pearson",), ("pearson",))


def logits(*classes: int, sure: float = 2.0) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(classes), 2).float() * sure


def of_pairs(before: torch.Tensor, after: torch.Tensor, labels: list[int]) -> Answers:
    texts = [f"was film {n} not bad{'?' * (n // 2 % 2)} <b>" for n in range(len(labels))]
    rows = TaskRows("here", texts, ["the film was good"] * len(labels), labels)
    return Answers(PAIRS, rows, ("big", "small"), (before, after))


def test_flips_are_told_by_what_became_of_them() -> None:
    given = of_pairs(logits(0, 0, 1, 1, 1), logits(0, 1, 0, 0, 1), [0, 0, 0, 1, 1])
    found = compare(given)
    assert found.flips is not None
    assert found.flips.became_wrong == (1, 3)
    assert found.flips.became_right == (2,)
    assert found.flips.count == 3
    assert found.difference.value == pytest.approx(-0.2)
    assert found.difference.low <= -0.2 <= found.difference.high
    no, yes = found.by_class
    assert (no.name, len(no.rows)) == ("no", 3)
    assert (no.before, no.after) == pytest.approx((2 / 3, 2 / 3))
    assert (yes.before, yes.after) == (1.0, 0.5)
    assert found.worst == []  # no slice has 20 rows


def test_examples_are_those_whose_answer_moved_farthest() -> None:
    before, after = logits(0, 0, 1), torch.tensor([[0.0, 1.0], [0.0, 9.0], [0.0, 2.0]])
    assert compare(of_pairs(before, after, [0, 0, 1])).examples == [1, 0]


def test_a_slice_that_lost_is_found_and_named() -> None:
    labels = [0, 1] * 60
    before = logits(*labels)
    after = logits(*([1, 1] * 60))  # all of class no are lost
    found = compare(of_pairs(before, after, labels))
    assert found.worst[0].name.startswith("no, ")
    assert found.worst[0].difference.value == -1.0
    assert {len(change.rows) >= slices.MIN_ROWS for change in found.worst} == {True}


def test_bins_hold_confidence_and_accuracy() -> None:
    before = logits(0, 0, 0, 0, sure=100.0)
    (confidence, accuracy), *others = compare(of_pairs(before, before, [0, 0, 0, 1])).bins[0]
    assert others == []
    assert (confidence, accuracy) == (1.0, 0.75)


def test_of_several_labels_all_must_be_right() -> None:
    before = torch.tensor([[1.0, -1, -1], [1, 1, -1]])
    labels = torch.tensor([[1, 0, 0], [1, 0, 0]])
    assert row_quality(before, labels, TAGS).tolist() == [1.0, 0.0]


def test_regression_has_errors_and_no_flips() -> None:
    labels = [float(number) for number in range(30)]
    rows = TaskRows("here", [f"row {number}" for number in range(30)], None, labels)
    before = torch.tensor(labels).view(-1, 1)
    found = compare(Answers(VALUES, rows, ("big", "small"), (before, before + 0.5)))
    assert found.flips is None
    assert [change.after for change in found.by_class] == [-0.5, -0.5, -0.5]
    words = str(list(_blocks(Answers(VALUES, rows, ("b", "s"), (before, before + 0.5)), found)))
    assert "+0.500 (+0.500 to +0.500)" in words


def test_slices_by_content() -> None:
    rows = TaskRows(
        "here", ["it isn't 3", "it is", "what?"], ["it isn't 3", "a b", "what? c"], [0] * 3
    )
    found = slices.by_content(rows)
    assert found["with a negation"] == [0]
    assert found["without a number"] == [1, 2]
    assert found["with a question mark"] == [2]
    assert slices.shared_words("a b", "b c") == pytest.approx(1 / 3)
    assert slices.by_class(TaskRows("h", ["a"] * 2, None, [[1, 0, 1], [0, 0, 1]]), TAGS) == {
        "x": [0],
        "z": [0, 1],
    }


def test_lengths_are_in_thirds_and_not_of_equal_texts() -> None:
    rows = TaskRows("here", ["w " * number for number in range(1, 10)], None)
    assert {name: len(found) for name, found in slices.by_length(rows).items()} == {
        "below 4 words": 3,
        "4 to 7 words": 3,
        "from 7 words": 3,
    }
    assert slices.by_length(TaskRows("here", ["a b"] * 9, None)) == {}


def test_the_reference_is_asked_and_the_chosen(tmp_path) -> None:  # type: ignore[no-untyped-def]
    models = [
        Model("a", "r"),
        Model("b", "r", checkpoint=tmp_path, is_reference=True),
        Model("c", "r", artifact=tmp_path, is_chosen=True),
        Model("d", "r", artifact=tmp_path),
    ]
    assert [model.name for model in contestants(models)] == ["b", "c"]
    with pytest.raises(ValueError, match="no two models here that can be opened"):
        contestants(models[:2])
