"""Write checkpoints so that a kill or a full disk never costs the previous one."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from lightning_app.checkpoint import read_checkpoint
from lightning_app.errors import InputError

UNFINISHED = ".unfinished"
"""Ending of a file that is being written; a left-over one is removed at the next save."""


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target, syncs, and renames; reads plain values and tensors only."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Replace ``path`` by the new checkpoint, or leave it as it is.

        Raises:
            InputError: If it could not be written, a full disk for example.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(target.name + UNFINISHED)
        try:
            with unfinished.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if target.is_dir():  # of several processes
                shutil.rmtree(target)
            unfinished.replace(target)
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            raise InputError(
                f"Expected to write the checkpoint {str(target)!r}, but: {error}; the one before"
                " it is kept, free some space and go on with `--ckpt_path last`."
            ) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read ``path``; ``weights_only`` is always true."""
        return read_checkpoint(path, map_location or "cpu")

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete ``path`` if it is there."""
        if Path(path).is_dir():  # of several processes
            shutil.rmtree(path)
        else:
            Path(path).unlink(missing_ok=True)
