"""The rows that a run validates on, as a file for `glint benchmark`: `python -m` with its paths."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning_app.commands.whole_file import write_whole
from lightning_app.recipes.composition import read_yaml
from lightning_app.recipes.stage_commands import LABEL_SEPARATOR


def write_validation_rows(run_config: Path, checkpoint: Path, target: Path) -> None:
    """Write texts and labels of the validation rows, in JSON Lines.

    Args:
        run_config: `config.yaml` of a fit.
        checkpoint: Of it, for the tokenizer.
        target: The file.
    """
    lines = [json.dumps(row) for row in _rows(_data_module(run_config, checkpoint))]
    write_whole(target, ("\n".join(lines) + "\n").encode())


def _data_module(run_config: Path, checkpoint: Path) -> Any:
    from jsonargparse import ArgumentParser

    from datamodules import TextDataModule

    options = read_yaml(str(run_config))["data"]
    options["init_args"] = {**options.get("init_args", {}), "tokenizer": str(checkpoint)}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(TextDataModule, "data")
    return parser.instantiate(parser.parse_object({"data": options})).data


def _rows(data: Any) -> Iterator[dict[str, Any]]:
    data.setup("fit" if data.num_folds is not None else "validate")
    task = data.task
    for split, loader in zip(data.split_names("validate"), data.val_dataloader(), strict=True):
        rows = loader.dataset
        numbers = range(len(rows)) if rows.rows is None else rows.rows.tolist()
        columns = data.texts(split, list(numbers))
        labels = rows.column("labels")
        for line, label in zip(zip(*columns, strict=True), labels, strict=True):
            yield {
                **dict(zip(task.text_columns, line, strict=True)),
                task.label_column: _label(task, label),
            }


def _label(task: Any, label: Any) -> Any:
    if task.problem_type == "regression":
        return float(label)
    if task.problem_type == "single_label_classification":
        return task.label_names[int(label)]
    chosen = [name for name, is_on in zip(task.label_names, label, strict=True) if is_on]
    return LABEL_SEPARATOR.join(chosen)


if __name__ == "__main__":
    write_validation_rows(*map(Path, sys.argv[1:]))
