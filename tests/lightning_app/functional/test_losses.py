import math

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from lightning_app.functional.losses import task_losses, weighted_mean

LABELS = {
    "single_label_classification": (3, torch.tensor([0, 2, 1, 2])),
    "multi_label_classification": (
        3,
        torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]),
    ),
    "regression": (1, torch.tensor([0.5, -1.25, 3.0, 4.75])),
}


@pytest.mark.parametrize("problem_type", list(LABELS))
def test_mean_is_the_loss_of_transformers(tiny_model: str, problem_type: str) -> None:
    num_labels, labels = LABELS[problem_type]
    network = AutoModelForSequenceClassification.from_pretrained(
        tiny_model,
        num_labels=num_labels,
        problem_type=problem_type,
        ignore_mismatched_sizes=True,
    ).eval()
    ids = torch.arange(5, 33).view(4, 7)
    output = network(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels)
    losses = task_losses(output.logits, labels, problem_type)
    assert losses.shape == (4,)
    assert losses.mean().item() == pytest.approx(output.loss.item(), rel=1e-6)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    losses = task_losses(logits, torch.tensor([1, 0]), "single_label_classification")
    assert losses.tolist() == pytest.approx([math.log(2), math.log(4 / 3)])


def test_binary_cross_entropy_is_the_mean_over_labels() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])
    losses = task_losses(logits, torch.tensor([[1.0, 0.0]]), "multi_label_classification")
    assert losses.tolist() == pytest.approx([(math.log(2) + math.log(4)) / 2])


def test_squared_error_pairs_each_row_with_its_label() -> None:
    losses = task_losses(torch.tensor([[1.0], [4.0]]), torch.tensor([3.0, 4.5]), "regression")
    assert losses.tolist() == [4.0, 0.25]


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = torch.randn(5, 3).bfloat16()
    labels = torch.tensor([0, 1, 2, 1, 0])
    losses = task_losses(logits, labels, "single_label_classification")
    expected = task_losses(logits.float(), labels, "single_label_classification")
    assert losses.dtype == torch.float32
    assert torch.equal(losses, expected)


def test_weighted_mean_divides_by_the_number_of_rows() -> None:
    values = torch.tensor([1.0, 2.0, 6.0])
    assert weighted_mean(values, None).item() == 3.0
    assert weighted_mean(values, torch.tensor([2.0, 0.5, 0.0])).item() == 1.0
