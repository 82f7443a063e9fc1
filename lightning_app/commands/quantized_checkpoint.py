"""The checkpoint of a network that was quantized without training."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.checkpoint_io import UNFINISHED
from lightning_app.errors import InputError
from modules.architecture import ArchitectureRecord
from modules.fake_quantization import FakeQuantized, fake_quantized_modules

FILE = "quantized.ckpt"
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


def check_target(target: Path, source: Path, overwrite: bool) -> None:
    """Refuse a file that must not be written, before minutes go into it.

    Raises:
        InputError: If it is there and ``overwrite`` is not set, is the float model itself, or
            cannot be written.
    """
    if target.exists() and target.samefile(source):
        raise InputError(
            "Expected `quantize.output` to be another file than `--ckpt_path`, got"
            f" {str(target)!r} for both; choose another name."
        )
    if target.is_dir():
        raise InputError(
            f"Expected `quantize.output` to be a file, got the folder {str(target)!r}; name one in"
            " it."
        )
    if target.exists() and not overwrite:
        raise InputError(
            f"Expected `quantize.output` to be a new file, got {str(target)!r}, which is there;"
            " choose another name, or add `--quantize.overwrite=true`."
        )
    probe = target.with_name(target.name + UNFINISHED)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(target, error) from error


def write_checkpoint(source: Path, record: ArchitectureRecord, target: Path) -> None:
    """Write the weights of a checkpoint with another record, and without its training.

    Weights are what they were, in float32: what is rounded, and how, is in the record.

    Args:
        source: The checkpoint that was quantized.
        record: Of the quantized network.
        target: Replaced as a whole or not at all. It is given a time before the source's, so that
            `--ckpt_path last` goes on to find the run's own checkpoints.
    """
    contents = _contents(read_glint_checkpoint(source), record)
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


def weight_bytes(network: nn.Module) -> int:
    """Of all parameters as a runtime keeps them: integers and scales of those that are rounded.

    Up to 4 bits two integers share a byte, else each has its own; a scale has 4 bytes.
    """
    total = sum(p.numel() * p.element_size() for p in network.parameters())
    modules = {id(m.weight): m for m in fake_quantized_modules(network).values()}
    return total + sum(_bytes_of_integers(m) - _bytes(m.weight) for m in modules.values())


def _bytes_of_integers(module: FakeQuantized) -> int:
    how, (rows, columns) = module.quantization, module.weight.shape
    groups = 1 if how.group_size is None else -(-columns // how.group_size)
    row = -(-columns // 2) if how.weight_bits <= 4 else columns
    return int(rows * (row + 4 * groups))


def _bytes(weight: torch.Tensor) -> int:
    return weight.numel() * weight.element_size()


def _contents(checkpoint: Mapping[str, Any], record: ArchitectureRecord) -> dict[str, Any]:
    weights = checkpoint["state_dict"]
    return {
        **{key: checkpoint[key] for key in KEPT if key in checkpoint},
        "state_dict": {k: t for k, t in weights.items() if not k.startswith("companions.")},
        "architecture": record.as_plain(),
    }


def _cannot_write(target: Path, error: Exception) -> InputError:
    return InputError(f"Expected to write the checkpoint {str(target)!r}, but: {error}.")
