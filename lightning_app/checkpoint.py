"""Open checkpoints safely, and find the newest whole one."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError
from lightning_app.sharded_checkpoint import PREVIOUS, is_sharded, read_sharded


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Load a checkpoint of plain values and tensors; nothing in it is ever executed.

    Args:
        path: A file written by `glint fit`, or a folder with the parts of several processes.
        map_location: As in `torch.load`; a folder's goes to the CPU.

    Raises:
        InputError: If the file is missing, truncated, corrupted, or carries a pickled object.
    """
    import pickle

    import torch

    if is_sharded(path):
        return read_sharded(path)
    if not Path(path).is_file():
        raise InputError(f"Expected `--ckpt_path` to be a checkpoint file, got {str(path)!r}.")
    if not is_whole(path):
        raise InputError(
            f"Expected a whole checkpoint, but {str(path)!r} is truncated or corrupted; use another"
            " one of that run, or `--ckpt_path last` for the newest whole one."
        )
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"Expected a checkpoint of plain values and tensors, but {str(path)!r} carries pickled"
            " objects, which could run code, and was not opened."
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Expected a checkpoint, but {str(path)!r} is none: {reason}") from error
    return checkpoint


def read_glint_checkpoint(path: str | Path) -> dict[str, Any]:
    """Like :func:`read_checkpoint`, and refuse what Glint did not write."""
    checkpoint = read_checkpoint(path)
    missing = {"architecture", "task", "state_dict"} - set(checkpoint)
    if missing:
        raise InputError(
            f"Expected a checkpoint written by Glint, but {str(path)!r} has no"
            f" {', '.join(sorted(missing))}."
        )
    return checkpoint


def is_whole(path: str | Path) -> bool:
    """Whether each part of the file is there with the checksum that it was written with.

    A folder gets its name when it is whole.
    """
    if is_sharded(path):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError):
        return False


def newest_checkpoint(folder: str | Path) -> Path | None:
    """The newest whole checkpoint of all runs in ``folder`` (``<root>/<name>``), or None."""
    files = sorted(_checkpoints(Path(folder)), key=lambda path: path.stat().st_mtime_ns)
    return next((path for path in reversed(files) if is_whole(path)), None)


def _checkpoints(folder: Path) -> Iterator[Path]:
    for pattern in ("*.ckpt", f"*.ckpt{PREVIOUS}"):
        for path in folder.glob(f"version_*/checkpoints/{pattern}"):
            if path.is_file() or is_sharded(path):
                yield path
