"""The states of the random generators, which Lightning does not keep."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_app.xla import random_state, set_random_state


class RandomState(Callback):
    """Saves the generators of python, numpy, torch and each device, of every process.

    With it a resumed run draws the dropout masks that the undisturbed one would have drawn. The
    position in the epoch is kept by the loader (`datamodules.batch_loader`).
    """

    def __init__(self) -> None:
        self._loaded: list[dict[str, Any]] | None = None

    def state_dict(self) -> dict[str, Any]:
        """One state a process; every process takes part in saving a checkpoint."""
        return {"processes": _gather(generator_states())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts."""
        self._loaded = state_dict["processes"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the generators, after all that draws from them while a run is set up."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        if len(loaded) != trainer.world_size:
            rank_zero_warn(
                f"The checkpoint has random states of {len(loaded)} processes, this run has"
                f" {trainer.world_size}: dropout will differ from the undisturbed run's."
            )
            return
        set_generator_states(loaded[trainer.global_rank])


def generator_states() -> dict[str, Any]:
    """States of all generators of this process, as plain values and tensors."""
    version, internal, gauss = random.getstate()
    numpy_state: Any = np.random.get_state(legacy=True)
    name, keys, position, has_gauss, cached = numpy_state
    return {
        "python": [version, list(internal), gauss],
        "numpy": [str(name), keys.tolist(), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "xpu": torch.xpu.get_rng_state_all() if torch.xpu.is_available() else [],
        "xla": random_state(),
    }


def set_generator_states(states: dict[str, Any]) -> None:
    """Put the generators where :func:`generator_states` found them."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    numpy_state = (name, np.array(keys, dtype=np.uint32), position, has_gauss, cached)
    np.random.set_state(numpy_state)
    torch.set_rng_state(states["torch"])
    if states["cuda"] and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
    if states["xpu"] and len(states["xpu"]) == torch.xpu.device_count():
        torch.xpu.set_rng_state_all(states["xpu"])
    set_random_state(states.get("xla"))


def _gather(state: dict[str, Any]) -> list[dict[str, Any]]:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [state]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, state)
    return states
