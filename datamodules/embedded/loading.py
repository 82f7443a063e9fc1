"""The embedded data set as `datasets` objects."""

import hashlib
import json
from typing import TYPE_CHECKING

from datamodules.embedded.rows import embedded_rows
from datamodules.embedded.tasks import TASKS

if TYPE_CHECKING:
    import datasets


def load_embedded(task_name: str) -> "datasets.DatasetDict":
    """All splits of one task, with the columns, types and class names of the hub's nyu-mll/glue.

    The data sets live in memory and carry a fingerprint of their content, so whatever is cached
    by fingerprint after saving them stays valid from one process to the next.

    Args:
        task_name: One of the ten names of GLUE's configurations, `cola` to `ax`.

    Raises:
        ValueError: If there is no such task.
    """
    # Imported here, so that the rows can be had without pyarrow's start-up time.
    import datasets

    if task_name not in TASKS:
        raise ValueError(f"Expected `task_name` to be one of {list(TASKS)}, got {task_name!r}.")
    splits = TASKS[task_name].splits
    return datasets.DatasetDict({split: _load_split(task_name, split) for split in splits})


def _load_split(task_name: str, split: str) -> "datasets.Dataset":
    import datasets
    import pyarrow

    rows = embedded_rows(task_name, split)
    features = _features(task_name, list(rows[0]))
    columns = {name: [row[name] for row in rows] for name in features}
    return datasets.Dataset(
        pyarrow.Table.from_pydict(columns, schema=features.arrow_schema),
        split=datasets.NamedSplit(split),
        fingerprint=_fingerprint(task_name, split, columns),
    )


def _features(task_name: str, columns: list[str]) -> "datasets.Features":
    import datasets

    names = list(TASKS[task_name].label_names)
    types = {
        "label": datasets.ClassLabel(names=names) if names else datasets.Value("float32"),
        "idx": datasets.Value("int32"),
    }
    return datasets.Features({name: types.get(name, datasets.Value("string")) for name in columns})


def _fingerprint(task_name: str, split: str, columns: dict[str, list[object]]) -> str:
    # 16 hexadecimal digits is the length that datasets itself uses.
    content = json.dumps([task_name, split, columns])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
