"""What kind of labels a column holds, and their numbers."""

import math
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datamodules.row_checks import refuse_label
from lightning_app.errors import InputError
from lightning_app.task import ProblemType

MAX_CLASSES = 1000
"""More different labels than this are taken for a mistaken column."""


@dataclass(frozen=True)
class Labels:
    """Label names in the order of the logits, and how a value becomes a number.

    Args:
        names: Name of each class; ``("value",)`` for regression.
        problem_type: Which loss fits.
        separator: Splits text into several labels.
    """

    names: tuple[str, ...]
    problem_type: ProblemType
    separator: str | None = None
    numbers: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", {name: i for i, name in enumerate(self.names)})

    def encode(self, value: Any, row: int, source: str) -> Any:
        """Class number, float, or one 0/1 a label.

        Raises:
            InputError: If the value is not among the labels of the training data, or no number.
        """
        if self.problem_type == "regression":
            return self._target(value, row, source)
        if self.problem_type == "multi_label_classification":
            chosen = {self._number(v, row, source) for v in split_labels(value, self.separator)}
            return [float(i in chosen) for i in range(len(self.names))]
        return self._number(value, row, source)

    def in_words(self, column: str) -> str:
        """One line that says what was inferred."""
        if self.problem_type == "regression":
            return f"Labels in {column!r}: numbers (regression)"
        kind = "one" if self.problem_type == "single_label_classification" else "several"
        names = ", ".join(self.names[:10]) + (", ..." if len(self.names) > 10 else "")
        return f"Labels in {column!r}: {len(self.names)} classes, {kind} a row: {names}"

    @staticmethod
    def _target(value: Any, row: int, source: str) -> float:
        try:
            target = float(value)
        except (TypeError, ValueError):
            target = math.nan
        if not math.isfinite(target):
            raise InputError(
                f"Expected a number in {source}, but row {row + 1} (counting from 1) has {value!r}."
            )
        return target

    def _number(self, value: Any, row: int, source: str) -> int:
        name = str(value)
        if name not in self.numbers:
            raise refuse_label(value, row, source, self.names)
        return self.numbers[name]


def infer_labels(
    column: pa.ChunkedArray, problem_type: ProblemType | None, separator: str | None
) -> Labels:
    """Infer from the training column's type and values.

    Args:
        column: The label column.
        problem_type: Overrules the inference.
        separator: Splits text into several labels.
    """
    kind = problem_type or _problem_type(column.type, separator)
    if kind == "regression":
        _check_numeric(column)
        return Labels(("value",), kind, separator)
    if kind == "multi_label_classification":
        names = _names_of_several(column, separator)
    else:
        names = {str(value) for value in pc.unique(column).to_pylist()}
    if not 2 <= len(names) <= MAX_CLASSES:
        raise InputError(
            f"Expected `data.label_column` to hold 2 to {MAX_CLASSES} different labels, got"
            f" {len(names)}; choose another column, or `data.problem_type: regression`."
        )
    return Labels(tuple(sorted(names, key=_natural)), kind, separator)


def _names_of_several(column: pa.ChunkedArray, separator: str | None) -> set[str]:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.list_flatten(column)
    values = pc.unique(column).to_pylist()
    return {name for value in values for name in split_labels(value, separator)}


def split_labels(value: Any, separator: str | None) -> list[str]:
    """The labels of one row: of a list, or of text with a separator."""
    if isinstance(value, list):
        return [str(v) for v in value]
    parts = [part.strip() for part in str(value).split(separator)] if separator else [str(value)]
    return [part for part in parts if part]


def _problem_type(kind: pa.DataType, separator: str | None) -> ProblemType:
    if separator is not None or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "multi_label_classification"
    if pa.types.is_floating(kind):
        return "regression"
    return "single_label_classification"


def _check_numeric(column: pa.ChunkedArray) -> None:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise InputError(
            f"Expected numbers in `data.label_column` for regression, got {column.type}"
            f" (first row: {column[0].as_py()!r})."
        )


def _natural(name: str) -> tuple[bool, float, str]:
    """Numbers by value before text, so that 10 follows 9."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (False, number, name) if math.isfinite(number) else (True, 0.0, name)
