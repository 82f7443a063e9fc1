"""Rows of a task, from a file or from a GLUE folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError
from lightning_app.task import Task

if TYPE_CHECKING:
    from datasets import Dataset

ARGUMENT = "--data"


@dataclass(frozen=True)
class TaskRows:
    """Texts, and labels where there are any.

    Args:
        source: Where they come from, in words.
        texts: The first text of each row.
        pairs: The second, where the task has two.
        labels: Class number, value, or a list of 0 and 1, a row; None without.
    """

    source: str
    texts: list[str]
    pairs: list[str] | None
    labels: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def chosen(self, rows: Sequence[int]) -> "TaskRows":
        """These rows, by number."""
        columns = {"texts": self.texts, "pairs": self.pairs, "labels": self.labels}
        picked = {k: [v[row] for row in rows] for k, v in columns.items() if v is not None}
        return replace(self, **picked)  # type: ignore[arg-type]


def rows_of_file(
    file: Path, task: Task, labelled: bool = True, label_separator: str | None = None
) -> TaskRows:
    """All rows of a CSV, TSV, JSON Lines or Parquet file.

    Args:
        file: With the task's text columns, and its label column or none.
        task: That a model was trained for.
        labelled: Whether to read labels, where there are any.
        label_separator: Splits the label column's text into several labels.

    Raises:
        InputError: If it cannot be read, or lacks a column, a text or a label.
    """
    from datamodules.label_inference import Labels
    from datamodules.row_checks import check_columns, check_no_nulls, check_not_empty, check_text
    from datamodules.row_files import READERS, has_reader, read_rows

    if not has_reader(str(file)):
        raise InputError(
            f"Expected `{ARGUMENT}` to end in {', '.join(READERS)}, or to be a GLUE folder in the"
            f" hub's layout, got {str(file)!r}."
        )
    raw, source = read_rows(str(file), ARGUMENT), str(file)
    check_not_empty(raw, source)
    check_columns(raw, task.text_columns, source, ARGUMENT)
    check_text(raw, task.text_columns, source)
    labels = None
    if labelled and task.label_column in raw.column_names:
        check_no_nulls(raw, task.label_column, source, "a label")
        known = Labels(task.label_names, task.problem_type, label_separator)
        values = list(raw[task.label_column])
        labels = [_encode(known, value, row, source) for row, value in enumerate(values)]
    return _rows(raw, task, source, labels)


def validation_rows(folder: Path, task: Task) -> TaskRows:
    """The validation rows of a GLUE task; of mnli both sets, one behind the other.

    Args:
        folder: In the hub's layout.
        task: Of GLUE, by name.

    Raises:
        InputError: If the task is none of GLUE's, or its rows cannot be read.
    """
    data = _glue(folder, task, task.name)
    parts = []
    for split in data.validation_splits:
        raw, encode = data.raw_split(split), data.label_encoder(split)
        parts.append(_rows(raw, task, str(folder), encode(list(raw["label"]), 0)))
    if not parts:
        raise InputError(f"Expected a task with a validation set, got {task.name!r}.")
    return _joined(parts)


def submission_rows(folder: Path, task: Task, name: str) -> dict[str, tuple[TaskRows, str]]:
    """The rows that a GLUE task's submission is made of.

    Args:
        folder: In the hub's layout.
        task: That the model was trained for.
        name: Of the GLUE task.

    Returns:
        By name of the submission file, rows and the kind of answer in it.
    """
    data = _glue(folder, task, name)
    rows = {
        split: _rows(data.raw_split(split), data.task, str(folder), None)
        for split in data.predict_splits
    }
    return {data.glue.submission_files[s]: (rows[s], data.glue.answer) for s in rows}


def _glue(folder: Path, task: Task, name: str) -> Any:
    from datamodules.glue import GLUEDataModule
    from datamodules.glue_tasks import GLUE_TASKS
    from lightning_app.task import check_task_matches

    if not folder.is_dir():
        raise InputError(f"Expected `{ARGUMENT}` to be a file or a folder, got {str(folder)!r}.")
    if name not in GLUE_TASKS:
        raise InputError(
            f"Expected a file as `{ARGUMENT}` for task {name!r}, as a folder holds GLUE's tasks"
            f" ({', '.join(GLUE_TASKS)}), got the folder {str(folder)!r}."
        )
    check_task_matches(GLUE_TASKS[name].task, task, "the artifact")
    return GLUEDataModule(name, dataset=str(folder))


def _rows(raw: "Dataset", task: Task, source: str, labels: list[Any] | None) -> TaskRows:
    columns = [list(raw[column]) for column in task.text_columns]
    return TaskRows(source, columns[0], columns[1] if len(columns) == 2 else None, labels)


def _encode(known: Any, value: Any, row: int, source: str) -> Any:
    # A file may hold the numbers of the classes, as GLUE's do.
    names = known.names
    is_number = isinstance(value, int) and not isinstance(value, bool)
    is_unnamed = is_number and known.problem_type == "single_label_classification"
    if is_unnamed and str(value) not in known.numbers and 0 <= value < len(names):
        return value
    return known.encode(value, row, source)


def _joined(parts: Sequence[TaskRows]) -> TaskRows:
    first = parts[0]
    return TaskRows(
        first.source,
        [text for part in parts for text in part.texts],
        None if first.pairs is None else [text for part in parts for text in part.pairs or ()],
        [label for part in parts for label in part.labels or ()],
    )
