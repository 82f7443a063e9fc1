"""A checkpoint that a command makes of another: other weights or another record, no training."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.checkpoint_io import UNFINISHED
from lightning_app.errors import InputError
from modules.architecture import ArchitectureRecord

KEPT = (
    "epoch",
    "global_step",
    "pytorch-lightning_version",
    "hparams_name",
    "hyper_parameters",
    "task",
    "tokenizer",
)
"""What a finished model has of its training's checkpoint, beside its weights and record."""


def check_target(target: Path, source: Path, overwrite: bool, command: str) -> None:
    """Refuse a file that must not be written, before minutes go into it.

    Args:
        target: The file to write.
        source: The checkpoint that it is made of.
        overwrite: Whether a file that is there is replaced.
        command: Whose `output` it is, such as ``quantize``.

    Raises:
        InputError: If it is there and ``overwrite`` is not set, is the source itself, or
            cannot be written.
    """
    if target.exists() and target.samefile(source):
        raise InputError(
            f"Expected `{command}.output` to be another file than `--ckpt_path`, got"
            f" {str(target)!r} for both; choose another name."
        )
    if target.is_dir():
        raise InputError(
            f"Expected `{command}.output` to be a file, got the folder {str(target)!r}; name one in"
            " it."
        )
    if target.exists() and not overwrite:
        raise InputError(
            f"Expected `{command}.output` to be a new file, got {str(target)!r}, which is there;"
            f" choose another name, or add `--{command}.overwrite=true`."
        )
    probe = target.with_name(target.name + UNFINISHED)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(target, error) from error


def write_checkpoint(
    source: Path,
    record: ArchitectureRecord,
    target: Path,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint with another record, and without its training.

    Args:
        source: The checkpoint that it is made of.
        record: Of the network as it is now.
        target: Replaced as a whole or not at all. It is given a time before the source's, so that
            `--ckpt_path last` goes on to find the run's own checkpoints.
        weights: The module's state; those of the source by default.
    """
    contents = _contents(read_glint_checkpoint(source), record, weights)
    unfinished = target.with_name(target.name + UNFINISHED)
    modified = source.stat().st_mtime_ns - 1
    try:
        with unfinished.open("wb") as file:
            torch.save(contents, file)
            file.flush()
            os.fsync(file.fileno())
        os.utime(unfinished, ns=(modified, modified))
        unfinished.replace(target)
    except (OSError, RuntimeError) as error:
        unfinished.unlink(missing_ok=True)
        raise _cannot_write(target, error) from error


def _contents(
    checkpoint: Mapping[str, Any],
    record: ArchitectureRecord,
    weights: Mapping[str, Tensor] | None,
) -> dict[str, Any]:
    weights = checkpoint["state_dict"] if weights is None else weights
    return {
        **{key: checkpoint[key] for key in KEPT if key in checkpoint},
        "state_dict": {k: t for k, t in weights.items() if not k.startswith("companions.")},
        "architecture": record.as_plain(),
    }


def _cannot_write(target: Path, error: Exception) -> InputError:
    return InputError(f"Expected to write the checkpoint {str(target)!r}, but: {error}.")
