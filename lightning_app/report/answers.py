"""What two models answer to the validation rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError
from lightning_app.report.findings import Findings, Model

if TYPE_CHECKING:
    from torch import Tensor

    from lightning_app.commands.task_rows import TaskRows
    from lightning_app.task import Task

_SEED = 0
_BATCH_SIZE = 32
_MAX_SEQ_LENGTH = 128
_SEPARATOR = "|"


@dataclass(frozen=True)
class Answers:
    """Of a reference and of what came of it.

    Args:
        task: Of both.
        rows: With labels.
        names: Of the two.
        logits: Of the two, ``[rows, num_labels]``.
    """

    task: "Task"
    rows: "TaskRows"
    names: tuple[str, str]
    logits: "tuple[Tensor, Tensor]"


def answers(found: Findings, max_rows: int, threads: int | None) -> Answers:
    """Let the reference and the chosen model answer.

    Args:
        found: On disk.
        max_rows: Drawn at random where there are more.
        threads: To compute with.

    Raises:
        InputError: If there are not two models with labelled rows of one task.
    """
    before, after = contestants(found.models)
    task = task_of(after)
    if task_of(before).label_names != task.label_names:
        raise InputError(
            f"{before.label} and {after.label} are of different tasks, so that their answers cannot"
            " be compared."
        )
    rows = _drawn(_rows(found, task), max_rows)
    logits = (_logits(before, rows, threads), _logits(after, rows, threads))
    return Answers(task, rows, (before.label, after.label), logits)


def contestants(models: Sequence[Model]) -> tuple[Model, Model]:
    """The reference, and the chosen model or else the last.

    Raises:
        InputError: If there are no two that can be opened.
    """
    able = [m for m in models if m.artifact is not None or m.checkpoint is not None]
    before = next((m for m in able if m.is_reference), able[0] if able else None)
    others = [m for m in able if m is not before]
    if before is None or not others:
        raise InputError(
            "There are no two models here that can be opened; name the artifact, and the run that"
            " it comes from."
        )
    return before, next((m for m in others if m.is_chosen), others[-1])


def task_of(model: Model) -> "Task":
    """Columns and labels, as the artifact or the checkpoint says."""
    if model.artifact is not None:
        from lightning_app.artifact.manifest import read_manifest

        return read_manifest(model.artifact).task
    from lightning_app.checkpoint import read_glint_checkpoint
    from lightning_app.task import Task

    assert model.checkpoint is not None
    return Task.from_plain(read_glint_checkpoint(model.checkpoint)["task"])


def _rows(found: Findings, task: "Task") -> "TaskRows":
    """Those that a recipe left, or those that a fit has validated on."""
    from lightning_app.commands.task_rows import rows_of_file

    if found.rows_file is not None:
        return _labelled(rows_of_file(found.rows_file, task, label_separator=_separator(task)))
    from lightning_app.recipes.validation_rows import write_validation_rows

    with_data = (m for m in found.models if m.run_config is not None and m.checkpoint is not None)
    run = next(with_data, None)
    if run is None or run.run_config is None or run.checkpoint is None:
        raise InputError(
            "There are no validation rows here; name the folder of the fit, too, whose config.yaml"
            " says where they are."
        )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        write_validation_rows(run.run_config, run.checkpoint, file)
        return _labelled(rows_of_file(file, task, label_separator=_separator(task)))


def _separator(task: "Task") -> str | None:
    return _SEPARATOR if task.problem_type == "multi_label_classification" else None


def _labelled(rows: "TaskRows") -> "TaskRows":
    if rows.labels is None:
        raise InputError("The validation rows here have no labels.")
    return rows


def _drawn(rows: "TaskRows", max_rows: int) -> "TaskRows":
    import torch

    if len(rows) <= max_rows:
        return rows
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(_SEED))
    return rows.chosen(sorted(order[:max_rows].tolist()))


def _logits(model: Model, rows: "TaskRows", threads: int | None) -> "Tensor":
    import torch

    if model.artifact is not None:
        from lightning_app.artifact.loading import open_artifact

        return torch.tensor(open_artifact(model.artifact, threads).logits(rows.texts, rows.pairs))
    assert model.checkpoint is not None
    return _logits_of_checkpoint(model.checkpoint, rows)


def _logits_of_checkpoint(checkpoint: Path, rows: "TaskRows") -> "Tensor":
    import torch

    from lightning_app.commands.run_facts import RunFacts
    from modules import TextClassifier

    model: Any = TextClassifier.load_from_checkpoint(checkpoint).eval()
    longest = RunFacts.of_checkpoint(checkpoint, None).max_seq_length or _MAX_SEQ_LENGTH
    columns = [rows.texts] if rows.pairs is None else [rows.texts, rows.pairs]
    order = sorted(range(len(rows)), key=lambda row: sum(len(column[row]) for column in columns))
    logits = torch.zeros(len(rows), model.task.num_labels)
    for start in range(0, len(order), _BATCH_SIZE):
        chosen = order[start : start + _BATCH_SIZE]
        batch = [[column[row] for row in chosen] for column in columns]
        logits[chosen] = _batch_logits(model, batch, longest)
    return logits


def _batch_logits(model: Any, columns: list[list[str]], longest: int) -> "Tensor":
    import torch

    from modules.network_inputs import network_inputs

    encoded = model.tokenizer(
        *columns, truncation=True, max_length=longest, padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        logits: Tensor = model(**network_inputs(encoded)).logits.float()
    return logits
