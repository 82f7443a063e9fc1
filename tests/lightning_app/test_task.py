import dataclasses
from typing import Any

import pytest

from lightning_app.errors import InputError
from lightning_app.task import Task, check_task_matches

MNLI = Task(
    "mnli",
    ("premise", "hypothesis"),
    ("entailment", "neutral", "contradiction"),
    "single_label_classification",
    ("accuracy",),
    ("accuracy",),
)


def changed(**values: Any) -> Task:
    return dataclasses.replace(MNLI, **values)


def test_plain_values_rebuild_the_task() -> None:
    plain = MNLI.as_plain()
    assert plain["label_names"] == ["entailment", "neutral", "contradiction"]
    assert {type(value) for value in plain.values()} == {str, list}
    assert Task.from_plain(plain) == MNLI
    assert MNLI.num_labels == 3


def test_a_checkpoint_of_the_same_labels_is_taken_whatever_its_name() -> None:
    check_task_matches(changed(name="ax", metrics=("matthews",)), MNLI, "the checkpoint")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label_names": ("no", "yes")}, r"'own' \(2 labels: no, yes\), .* for 'mnli' \(3 labels"),
        # The same labels in another order are another meaning of the logits.
        ({"label_names": ("neutral", "entailment", "contradiction")}, r"3 labels: neutral, ent"),
        (
            {
                "label_names": ("value",),
                "problem_type": "regression",
                "metrics": ("pearson",),
                "score_metrics": ("pearson",),
            },
            r"'own' \(regression\), .*`data.task_name` or `--ckpt_path` to agree",
        ),
    ],
)
def test_a_checkpoint_of_other_labels_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_task_matches(changed(name="own", **values), MNLI, "the checkpoint")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"problem_type": "ranking"}, r"`problem_type` to be one of .*regression, got 'ranking'"),
        ({"metrics": ("pearson",)}, r"among accuracy, f1, matthews, got 'pearson'"),
        ({"score_metrics": ("bleu",)}, r"among accuracy, f1, matthews, got 'bleu'"),
    ],
)
def test_refuses_what_does_not_fit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        changed(**values)
