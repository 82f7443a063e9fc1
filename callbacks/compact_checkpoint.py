"""Make the checkpoint of a gated network one of the smaller network."""

import os
from pathlib import Path
from typing import Any

import torch

from callbacks.structure_gates import remove_closed
from lightning_app.checkpoint import read_glint_checkpoint
from modules.text_classifier import TextClassifier

OF_TRAINING = ("optimizer_states", "lr_schedulers", "loops", "callbacks")
"""What belongs to the training of the larger network."""


def compact_checkpoint(path: str | Path, state_key: str) -> bool:
    """Remove from a checkpoint what a callback's gates have closed; does nothing twice.

    What is left can be validated, used and trained further as the start of another fit, but not
    resumed: its training was of the network as it was.

    Args:
        path: A checkpoint with the state of the callback.
        state_key: Of the callback.

    Returns:
        Whether there was anything to do.
    """
    path = Path(path)
    checkpoint: dict[str, Any] = read_glint_checkpoint(path)
    state = checkpoint.get("callbacks", {}).get(state_key)
    if state is None:
        return False
    model = TextClassifier.load_from_checkpoint(path)
    remove_closed(model, state["masks"], by=state_key)
    small = {key: value for key, value in checkpoint.items() if key not in OF_TRAINING}
    small["state_dict"] = model.state_dict()
    model.on_save_checkpoint(small)
    _write(small, path)
    return True


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(checkpoint, unfinished)
    # Older than the run's last.ckpt, as it was: `--ckpt_path last` is to find that.
    modified = path.stat().st_mtime_ns - 1
    os.utime(unfinished, ns=(modified, modified))
    unfinished.replace(path)
