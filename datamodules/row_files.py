"""Read a CSV, TSV, JSON Lines or Parquet file, by its ending."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

READERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t"}),
    ".jsonl": ("json", {}),
    ".json": ("json", {}),
    ".parquet": ("parquet", {}),
}


def has_reader(path: str) -> bool:
    """Whether the ending is that of a format that is read."""
    return Path(path).suffix.lower() in READERS


def existing_file(path: str, argument: str) -> Path:
    """The file, if it is there and not empty.

    Args:
        path: The file.
        argument: Where the user named it, for the message.

    Raises:
        InputError: If it is no file, or one of 0 bytes.
    """
    if not Path(path).is_file():
        raise InputError(f"Expected `{argument}` to be a file, got {path!r}.")
    if Path(path).stat().st_size == 0:
        raise InputError(f"Expected `{argument}` to hold rows, but {path!r} is empty.")
    return Path(path)


def read_rows(path: str, argument: str) -> "Dataset":
    """All columns of a file.

    Args:
        path: A file whose ending is among ``READERS``.
        argument: Where the user named it, for the message.

    Raises:
        InputError: If it is missing, empty or damaged.
    """
    from datasets import load_dataset

    file = existing_file(path, argument)
    kind, options = READERS[file.suffix.lower()]
    try:
        return load_dataset(kind, data_files=str(file), split="train", **options)
    except Exception as error:  # the readers of `datasets` raise many kinds
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        if "corresponds to no data" in reason:
            reason = "it holds no rows"
        raise InputError(f"Expected {file} to be readable as {kind}: {reason}") from error
