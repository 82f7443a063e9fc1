"""A folder that is there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_app.artifact.manifest import MANIFEST
from lightning_app.errors import InputError


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse what must not be written over.

    Raises:
        InputError: If the folder is there and ``overwrite`` is not set, or if it holds anything
            but an artifact.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(
            f"Expected `--output` to be a folder, got {str(folder)!r}, a file or link."
        )
    if not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"Expected `--output` to be a new folder or one of an earlier export, got"
            f" {str(folder)!r}, which holds other files; choose another name."
        )
    if not overwrite:
        raise InputError(
            f"Expected `--output` to be a new folder, got {str(folder)!r}, which holds an artifact;"
            " choose another name, or add `--overwrite`."
        )


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``, which takes its name if nothing fails.

    Args:
        target: Checked by :func:`check_output`.

    Raises:
        InputError: If nothing can be written there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name}.unfinished-"
        unfinished = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    except OSError as error:
        raise InputError(
            f"Expected `--output` to be a folder to write to, got {str(target)!r}:"
            f" {error.strerror}."
        ) from error
    try:
        yield unfinished
        # mkdtemp's folder is for its owner alone.
        unfinished.chmod(0o777 & ~_umask())
        _take_place(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _take_place(folder: Path, target: Path) -> None:
    if not target.exists():
        folder.rename(target)
        return
    before = Path(tempfile.mkdtemp(prefix=f".{target.name}.replaced-", dir=target.parent))
    target.rename(before / "artifact")
    try:
        folder.rename(target)
    except OSError:
        (before / "artifact").rename(target)
        raise
    finally:
        shutil.rmtree(before, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
