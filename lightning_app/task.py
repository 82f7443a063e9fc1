"""What a text classification task is, as plain data that travels in every checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lightning_app.errors import InputError

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]

METRICS_BY_PROBLEM: dict[str, tuple[str, ...]] = {
    "single_label_classification": ("accuracy", "f1", "matthews"),
    "multi_label_classification": ("accuracy", "f1"),
    "regression": ("pearson", "spearman"),
}


@dataclass(frozen=True)
class Task:
    """Columns, labels and metrics of a task.

    Args:
        name: Short name, for example ``"mrpc"``.
        text_columns: One or two columns that hold the text.
        label_names: Name of each class in the order of the logits; one placeholder for regression.
        problem_type: Which loss fits, in the words of ``transformers``.
        metrics: What is logged as ``val/<metric>``.
        score_metrics: The metrics whose mean is the task's one score, logged as ``val/score``.
        label_column: The column that holds the label.
    """

    name: str
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    problem_type: ProblemType
    metrics: tuple[str, ...]
    score_metrics: tuple[str, ...]
    label_column: str = "label"

    def __post_init__(self) -> None:
        known = METRICS_BY_PROBLEM.get(self.problem_type)
        if known is None:
            raise InputError(
                f"Expected `problem_type` to be one of {', '.join(METRICS_BY_PROBLEM)},"
                f" got {self.problem_type!r}."
            )
        for metric in (*self.metrics, *self.score_metrics):
            if metric not in known:
                raise InputError(
                    f"Expected `metrics` of a {self.problem_type} task to be among"
                    f" {', '.join(known)}, got {metric!r}."
                )

    @property
    def num_labels(self) -> int:
        """Number of logits: classes, or 1 for regression."""
        return len(self.label_names)

    def as_plain(self) -> dict[str, Any]:
        """Plain lists and strings, safe in a ``weights_only`` checkpoint."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Task":
        """Rebuild a task from :meth:`as_plain`."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()
        }
        return cls(**values)


def check_task_matches(expected: Task, found: Task, source: str) -> None:
    """Refuse a checkpoint that was trained for other labels than the data has.

    Args:
        expected: The task of the data.
        found: The task of the checkpoint.
        source: What to call the checkpoint in the message.

    Raises:
        InputError: If problem type or label names differ (``ax`` is answered by ``mnli`` models).
    """
    # The order of the labels is the meaning of the logits, so it must agree too.
    same_labels = expected.label_names == found.label_names
    if expected.problem_type == found.problem_type and same_labels:
        return
    raise InputError(
        f"Expected {source} to be trained for task {expected.name!r}"
        f" ({_labels_in_words(expected)}), but it was trained for {found.name!r}"
        f" ({_labels_in_words(found)}); choose `data.task_name` or `--ckpt_path` to agree."
    )


def _labels_in_words(task: Task) -> str:
    if task.problem_type == "regression":
        return "regression"
    names = ", ".join(task.label_names[:6]) + (", ..." if task.num_labels > 6 else "")
    return f"{task.num_labels} labels: {names}"
