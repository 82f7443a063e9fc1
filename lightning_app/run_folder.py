"""Where a run lives: `<root>/<name>/version_N/`."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lightning_app.checkpoint import newest_checkpoint
from lightning_app.errors import InputError
from lightning_app.sharded_checkpoint import is_sharded

DEFAULT_ROOT = "runs"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Args:
        root: Folder of all runs.
        name: The run's name.
        version: Its number, from 0.
    """

    root: Path
    name: str
    version: int

    @property
    def path(self) -> Path:
        """`<root>/<name>/version_<N>`."""
        return self.root / self.name / f"version_{self.version}"

    @classmethod
    def create(cls, root: Path, name: str) -> "RunFolder":
        """Make the next free folder; two runs that start at once get two."""
        (root / name).mkdir(parents=True, exist_ok=True)
        version = 0
        while True:
            run = cls(root, name, version)
            try:
                os.mkdir(run.path)  # noqa: PTH102  # mkdir is what makes the claim atomic
            except FileExistsError:
                version += 1
            else:
                return run

    def remove_unstarted(self) -> None:
        """Take the folder away, and the name's, if a run has done no more than describe itself."""
        if self.path.is_dir() and all(_is_description(file) for file in self.path.iterdir()):
            shutil.rmtree(self.path)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> "RunFolder":
        """The run that wrote ``<root>/<name>/version_N/checkpoints/<file>``."""
        folder = checkpoint.parents[1]
        return cls(folder.parents[1], folder.parent.name, int(folder.name.removeprefix("version_")))


def _is_description(file: Path) -> bool:
    return file.name == "config.yaml" or file.name.startswith("events.out.tfevents")


def folder_of_checkpoint(checkpoint: Path) -> Path:
    """Where results on a checkpoint go: the folder of its run, or else its own."""
    return checkpoint.parents[1] if checkpoint.parent.name == "checkpoints" else checkpoint.parent


def find_checkpoint(ckpt_path: str | None, root: Path, name: str) -> Path | None:
    """Turn ``last``, ``best`` or a path into a file.

    Args:
        ckpt_path: ``last`` for the newest whole checkpoint under ``root/name``, ``best`` for the
            ``best.ckpt`` of the same run, or a path.
        root: Folder of all runs.
        name: The run's name.

    Returns:
        None without ``ckpt_path``, and for ``last`` where there is none yet.
    """
    if ckpt_path is None:
        return None
    if ckpt_path not in ("last", "best"):
        if not _is_checkpoint(Path(ckpt_path)):
            raise InputError(
                f"Expected `--ckpt_path` to be a file, `last` or `best`, got {ckpt_path!r}."
            )
        return Path(ckpt_path)
    newest = newest_checkpoint(root / name)
    if newest is None or ckpt_path == "last":
        return newest
    best = newest.with_name("best.ckpt")
    if not _is_checkpoint(best):
        raise InputError(f"Expected a best.ckpt in {newest.parent}, but there is none yet.")
    return best


def _is_checkpoint(path: Path) -> bool:
    return path.is_file() or is_sharded(path)
