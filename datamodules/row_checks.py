"""Look at the rows before anything is trained on them; name the first that is wrong."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def check_not_empty(raw: "Dataset", source: str) -> None:
    """Refuse a split without rows."""
    if len(raw) == 0:
        raise InputError(f"Expected {source} to hold at least one row, but it is empty.")


def check_columns(raw: "Dataset", columns: Sequence[str], source: str, argument: str) -> None:
    """Refuse a split that lacks a column; list the columns that it has."""
    check_names(raw.column_names, columns, source, f" (`{argument}`)")


def check_names(
    present: Collection[str], columns: Sequence[str], source: str, argument: str = ""
) -> None:
    """Refuse a source that lacks a column; list the columns that it has."""
    for column in columns:
        if column not in present:
            raise InputError(
                f"Expected {source} to have the column {column!r}{argument},"
                f" but its columns are {', '.join(present)}."
            )


def check_text(raw: "Dataset", columns: Sequence[str], source: str) -> None:
    """Refuse columns that are not text, and rows where the text is missing."""
    for column in columns:
        kind = str(getattr(raw.features[column], "dtype", raw.features[column]))
        if kind not in ("string", "large_string"):
            raise InputError(
                f"Expected the column {column!r} of {source} to hold text, but it holds {kind}"
                f" (first row: {raw[0][column]!r}); choose `text_columns` accordingly."
            )
        check_no_nulls(raw, column, source, "text")


def check_no_nulls(raw: "Dataset", column: str, source: str, what: str) -> None:
    """Refuse a column with missing values; name the first row, counting from 1."""
    row = first_null(raw, column)
    if row is not None:
        raise InputError(
            f"Expected {what} in the column {column!r} of {source}, but row {row + 1} (counting"
            " from 1, without the header) has none; fill it or remove the row."
        )


def first_null(raw: "Dataset", column: str) -> int | None:
    """Number of the first row, from 0, without a value; None if all have one."""
    import pyarrow.compute as pc

    offset = 0
    for chunk in raw.data.column(column).chunks:
        if chunk.null_count:
            return offset + int(pc.index(pc.is_null(chunk), True).as_py())
        offset += len(chunk)
    return None


def refuse_label(value: Any, row: int, source: str, known: Sequence[str]) -> InputError:
    """The error for a label that the task does not have."""
    return InputError(
        f"Expected a label among {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}"
        f" in {source}, but row {row + 1} (counting from 1) has {value!r}."
    )
