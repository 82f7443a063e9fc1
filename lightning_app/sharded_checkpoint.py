"""Checkpoints that each process writes a part of: folders, read safely, and joined to files."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError

INDEX, PLAIN, PREVIOUS = ".metadata", "meta.pt", ".previous"
"""torch's index of the parts, what is no tensor of model or optimizer, and the folder before."""


def is_sharded(path: str | Path) -> bool:
    """Whether it is such a folder, finished."""
    return (Path(path) / INDEX).is_file() and (Path(path) / PLAIN).is_file()


def save_sharded(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a folder together, beside its place, and put it there when it is whole.

    To be called by all processes, with their parts of the tensors as `DTensor`.

    Args:
        checkpoint: Of Lightning; weights and optimizer states go to torch's distributed format
            (`torch.distributed.checkpoint`), the rest to a file of its own.
        path: The folder; one that is there is replaced.
    """
    import torch.distributed as dist
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    unfinished = path.with_name(path.name + ".unfinished")
    first = dist.get_rank() == 0
    if first:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
    dist.barrier()
    tensors, plain = _divided(checkpoint)
    save(tensors, storage_writer=FileSystemWriter(unfinished, single_file_per_rank=True))
    if first:
        _write(plain, unfinished / PLAIN)
        replace_folder(unfinished, path)
    dist.barrier()


def replace_folder(new: Path, path: Path) -> None:
    """Give a folder another's name; the other is deleted when it is done, or a file of that name.

    Killed in between, the other is still there with ``.previous`` behind its name.
    """
    previous = path.with_name(path.name + PREVIOUS)
    if path.is_dir():
        shutil.rmtree(previous, ignore_errors=True)
        path.replace(previous)
    else:
        path.unlink(missing_ok=True)
    new.replace(path)
    shutil.rmtree(previous, ignore_errors=True)


def read_sharded(path: str | Path) -> dict[str, Any]:
    """The whole checkpoint, as any other strategy would have written it.

    torch's index is a pickle: it is read by a reader that knows the classes of an index and refuses
    all else; the rest is plain values and tensors.

    Raises:
        InputError: If a part is missing or corrupted, or the index holds anything else.
    """
    import pickle

    import torch
    from torch.distributed.checkpoint.api import CheckpointException

    folder = Path(path)
    try:
        plain: dict[str, Any] = torch.load(folder / PLAIN, weights_only=True)
        tensors = _read_tensors(folder)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"Expected a sharded checkpoint of plain values and tensors, but {str(path)!r} carries"
            " other objects, which could run code, and was not opened."
        ) from error
    except (OSError, RuntimeError, EOFError, CheckpointException) as error:
        raise InputError(
            f"Expected a whole sharded checkpoint, but a part of {str(path)!r} is missing or"
            " corrupted; use another one of that run, or `--ckpt_path last`."
        ) from error
    return _joined(plain, tensors)


def _divided(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors for torch's format, in which the keys of a dict must be text; and the rest."""
    plain = {k: v for k, v in checkpoint.items() if k not in ("state_dict", "optimizer_states")}
    tensors = {"state_dict": dict(checkpoint["state_dict"])}
    optimizers = checkpoint.get("optimizer_states", ())
    plain["optimizer_groups"] = [state["param_groups"] for state in optimizers]
    for number, state in enumerate(optimizers):
        tensors[f"optimizer_{number}"] = {str(k): dict(v) for k, v in state["state"].items()}
    return tensors, plain


def _joined(plain: dict[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    states = [
        {
            "state": {int(k): v for k, v in tensors.get(f"optimizer_{number}", {}).items()},
            "param_groups": groups,
        }
        for number, groups in enumerate(plain.pop("optimizer_groups"))
    ]
    return {**plain, "state_dict": tensors["state_dict"], "optimizer_states": states}


def _read_tensors(folder: Path) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

    from lightning_app.sharded_reader import AllTensors, SafeReader

    tensors: dict[str, Any] = {}
    planner: Any = AllTensors  # untyped in torch
    SafeReader(folder).read_metadata()  # torch takes a refusal for a missing file
    _load_state_dict(tensors, storage_reader=SafeReader(folder), planner=planner(), no_dist=True)
    return tensors


def _write(plain: dict[str, Any], path: Path) -> None:
    import torch

    with path.open("wb") as file:
        torch.save(plain, file)
        file.flush()
        os.fsync(file.fileno())
