from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torch import Tensor
from torch.nn import functional as F

from lightning_app.task import METRICS_BY_PROBLEM, ProblemType, Task
from modules.metrics import TaskMetrics, predicted


def task(num_labels: int, problem: ProblemType = "single_label_classification") -> Task:
    names = METRICS_BY_PROBLEM[problem]
    return Task("own", ("text",), tuple("abcdefgh"[:num_labels]), problem, names, names)


def computed(task: Task, logits: Tensor, labels: Tensor) -> dict[str, float]:
    metrics = TaskMetrics(task)
    metrics.update(torch.arange(len(logits)), logits, labels)
    return {name: value.item() for name, value in metrics.compute().items()}


def classification(num_rows: int, num_labels: int) -> tuple[Tensor, Tensor]:
    """Logits that are right in about half of the rows."""
    labels = torch.randint(num_labels, (num_rows,))
    logits = torch.randn(num_rows, num_labels) + 1.5 * F.one_hot(labels, num_labels)
    return logits, labels


@pytest.mark.parametrize("num_labels", [2, 3, 5])
def test_classification_equals_scikit_learn(num_labels: int) -> None:
    logits, labels = classification(200, num_labels)
    values = computed(task(num_labels), logits, labels)
    guesses, average = logits.argmax(-1), "binary" if num_labels == 2 else "macro"
    assert values["accuracy"] == pytest.approx(accuracy_score(labels, guesses))
    assert values["f1"] == pytest.approx(f1_score(labels, guesses, average=average))
    assert values["matthews"] == pytest.approx(matthews_corrcoef(labels, guesses))
    mean = (values["accuracy"] + values["f1"] + values["matthews"]) / 3
    assert values["score"] == pytest.approx(mean)
    assert values["loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


@pytest.mark.parametrize(
    ("guesses", "labels"),
    [
        ([1, 1, 1, 1], [1, 1, 0, 1]),  # one class is never predicted
        ([0, 0, 0, 0], [1, 1, 0, 1]),
        ([1, 0, 1, 0], [1, 1, 1, 1]),  # one class never occurs
        ([1, 1, 1, 1], [1, 1, 1, 1]),
        ([0, 1, 0, 1], [1, 0, 1, 0]),
        ([0, 0, 2, 0], [0, 0, 0, 1]),
    ],
)
def test_degenerate_predictions_equal_scikit_learn(guesses: list[int], labels: list[int]) -> None:
    num_labels = max(2, max(guesses) + 1)
    logits = F.one_hot(torch.tensor(guesses), num_labels).float()
    values = computed(task(num_labels), logits, torch.tensor(labels))
    average = "binary" if num_labels == 2 else "macro"
    assert values["accuracy"] == pytest.approx(accuracy_score(labels, guesses))
    assert values["f1"] == pytest.approx(
        f1_score(labels, guesses, average=average, zero_division=0)
    )
    # By definition 0 where a factor of the denominator is; scikit-learn warns of one class.
    distinct = len({*labels, *guesses}) > 1
    expected = matthews_corrcoef(labels, guesses) if distinct else 0.0
    assert values["matthews"] == pytest.approx(expected, abs=1e-7)


def test_regression_equals_scipy() -> None:
    labels = torch.randint(0, 26, (200,)) / 5  # with ties, as STS-B
    logits = labels[:, None] + torch.randn(200, 1)
    values = computed(task(1, "regression"), logits, labels)
    assert values["pearson"] == pytest.approx(pearsonr(logits[:, 0], labels)[0], abs=1e-6)
    assert values["spearman"] == pytest.approx(spearmanr(logits[:, 0], labels)[0], abs=1e-6)
    assert values["loss"] == pytest.approx(F.mse_loss(logits[:, 0], labels).item())


def test_constant_predictions_of_a_regression_score_zero() -> None:
    values = computed(task(1, "regression"), torch.ones(9, 1), torch.arange(9.0))
    assert (values["pearson"], values["spearman"], values["score"]) == (0.0, 0.0, 0.0)


def test_several_labels_equal_scikit_learn() -> None:
    labels = torch.randint(2, (100, 4)).float()
    logits = torch.randn(100, 4) + labels - 0.5
    values = computed(task(4, "multi_label_classification"), logits, labels)
    guesses = (logits > 0).long()
    expected = accuracy_score(labels.flatten(), guesses.flatten())
    assert values["accuracy"] == pytest.approx(expected)
    assert values["f1"] == pytest.approx(f1_score(labels, guesses, average="micro"))
    loss = F.binary_cross_entropy_with_logits(logits, labels)
    assert values["loss"] == pytest.approx(loss.item())


@pytest.mark.parametrize("problem", ["single_label_classification", "regression"])
def test_order_of_rows_and_cut_into_batches_do_not_change_a_bit(problem: ProblemType) -> None:
    if problem == "regression":
        logits, labels = torch.randn(101, 1), torch.randn(101)
    else:
        logits, labels = classification(101, 3)
    own = task(logits.shape[1], problem)
    expected = computed(own, logits, labels)
    for batch_size in (7, 50, 101):
        metrics = TaskMetrics(own)
        for rows in torch.randperm(101).split(batch_size):
            metrics.update(rows, logits[rows], labels[rows])
        assert {name: value.item() for name, value in metrics.compute().items()} == expected
        index, ordered, ordered_labels = metrics.computed_rows
        assert torch.equal(index, torch.arange(101))
        assert torch.equal(ordered, logits)
        assert torch.equal(ordered_labels, labels)


def test_reset_forgets_the_rows() -> None:
    logits, labels = classification(20, 2)
    metrics = TaskMetrics(task(2))
    metrics.update(torch.arange(20), logits, labels)
    metrics.compute()
    metrics.reset()
    metrics.update(torch.arange(20), F.one_hot(labels).float(), labels)
    assert metrics.compute()["accuracy"].item() == 1.0


@pytest.mark.parametrize(
    ("problem", "logits", "expected"),
    [
        ("single_label_classification", [[0.1, 0.2, -1.0], [3.0, 2.0, 1.0]], [1, 0]),
        (
            "multi_label_classification",
            [[0.1, 0.2, -1.0], [3.0, -2.0, 0.0]],
            [[1, 1, 0], [1, 0, 0]],
        ),
        ("regression", [[0.5], [-2.0]], [0.5, -2.0]),
    ],
)
def test_prediction_by_hand(problem: ProblemType, logits: Any, expected: Any) -> None:
    rows = torch.tensor(logits)
    assert predicted(rows, task(rows.shape[1], problem)).tolist() == expected


def test_glue_score_of_mrpc_is_the_mean_of_its_two_metrics() -> None:
    # Right: 3 of 4. True positives 2, false positives 1, false negatives 0: F1 = 4/5.
    own = Task(
        "mrpc", ("a",), ("n", "y"), "single_label_classification", ("accuracy",), ("accuracy", "f1")
    )
    logits = F.one_hot(torch.tensor([1, 1, 1, 0])).float()
    values = computed(own, logits, torch.tensor([1, 1, 0, 0]))
    assert np.allclose([values["f1"], values["score"]], [0.8, (0.75 + 0.8) / 2])
