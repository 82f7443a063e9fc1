"""One table of the GLUE tasks: columns, labels, metrics, score, splits and submission files.

Source: Wang et al. 2018, "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural
Language Understanding" (arXiv:1804.07461), table 1, and https://gluebenchmark.com/faq.
"""

from dataclasses import dataclass
from typing import Literal

from lightning_app.errors import InputError
from lightning_app.task import ProblemType, Task

ENTAILMENT = ("entailment", "neutral", "contradiction")
NOT_ENTAILMENT = ("entailment", "not_entailment")


@dataclass(frozen=True)
class GlueTask:
    """A GLUE task: the task itself, its splits and how its predictions are handed in.

    Args:
        task: Columns, labels and metrics.
        submission_files: File name for each split that is predicted.
        answer: ``"index"`` writes the class number, ``"word"`` the label's name, ``"score"`` the
            regression value.
        validation_splits: Splits that are evaluated; GLUE's score is the mean over them.
        train_split: None for the diagnostic set, which is only predicted.
    """

    task: Task
    submission_files: dict[str, str]
    answer: Literal["index", "word", "score"] = "index"
    validation_splits: tuple[str, ...] = ("validation",)
    train_split: str | None = "train"


def _glue(
    name: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    metrics: tuple[str, ...],
    score: tuple[str, ...],
) -> Task:
    problem: ProblemType = "single_label_classification" if len(labels) > 1 else "regression"
    return Task(name, columns, labels, problem, metrics, score)


_SENTENCES = ("sentence1", "sentence2")
_F1 = ("accuracy", "f1")

GLUE_TASKS: dict[str, GlueTask] = {
    "cola": GlueTask(
        _glue(
            "cola",
            ("sentence",),
            ("unacceptable", "acceptable"),
            ("matthews", "accuracy"),
            ("matthews",),
        ),
        {"test": "CoLA.tsv"},
    ),
    "sst2": GlueTask(
        _glue("sst2", ("sentence",), ("negative", "positive"), ("accuracy",), ("accuracy",)),
        {"test": "SST-2.tsv"},
    ),
    "mrpc": GlueTask(
        _glue("mrpc", _SENTENCES, ("not_equivalent", "equivalent"), _F1, _F1),
        {"test": "MRPC.tsv"},
    ),
    "stsb": GlueTask(
        _glue(
            "stsb", _SENTENCES, ("similarity",), ("pearson", "spearman"), ("pearson", "spearman")
        ),
        {"test": "STS-B.tsv"},
        answer="score",
    ),
    "qqp": GlueTask(
        _glue("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), _F1, _F1),
        {"test": "QQP.tsv"},
    ),
    "mnli": GlueTask(
        _glue("mnli", ("premise", "hypothesis"), ENTAILMENT, ("accuracy",), ("accuracy",)),
        {"test_matched": "MNLI-m.tsv", "test_mismatched": "MNLI-mm.tsv"},
        answer="word",
        validation_splits=("validation_matched", "validation_mismatched"),
    ),
    "qnli": GlueTask(
        _glue("qnli", ("question", "sentence"), NOT_ENTAILMENT, ("accuracy",), ("accuracy",)),
        {"test": "QNLI.tsv"},
        answer="word",
    ),
    "rte": GlueTask(
        _glue("rte", _SENTENCES, NOT_ENTAILMENT, ("accuracy",), ("accuracy",)),
        {"test": "RTE.tsv"},
        answer="word",
    ),
    "wnli": GlueTask(
        _glue("wnli", _SENTENCES, NOT_ENTAILMENT[::-1], ("accuracy",), ("accuracy",)),
        {"test": "WNLI.tsv"},
    ),
    "ax": GlueTask(
        _glue("ax", ("premise", "hypothesis"), ENTAILMENT, ("matthews",), ("matthews",)),
        {"test": "AX.tsv"},
        answer="word",
        validation_splits=(),
        train_split=None,
    ),
}


def glue_task(name: str) -> GlueTask:
    """Look a task up.

    Raises:
        InputError: If there is no such task; the message lists those that there are.
    """
    if name not in GLUE_TASKS:
        raise InputError(
            f"Expected `data.task_name` to be one of {', '.join(GLUE_TASKS)}, got {name!r}."
        )
    return GLUE_TASKS[name]
