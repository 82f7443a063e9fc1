"""The copies of a module that Lightning's averaging callbacks keep."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from lightning.pytorch import Trainer
from torch.nn import Module
from torch.optim.swa_utils import AveragedModel

from modules.recorded_network import RecordedNetwork


def averaged_models(trainer: Trainer) -> Iterator[Module]:
    """Those of `WeightAveraging` (as in `EMAWeightAveraging`) and `StochasticWeightAveraging`."""
    for average in _averages(trainer).values():
        yield average.module if isinstance(average, AveragedModel) else average


def complete_averages(trainer: Trainer, module: RecordedNetwork) -> None:
    """Let the averages be of the whole module, and of its parameters alone.

    To be called at the module's `setup`, when the callbacks have made their copies.
    `StochasticWeightAveraging` has made it before there was a network. `WeightAveraging` would
    average buffers, too: positions are integers, which a moving average rounds down to others, and
    no buffer of an encoder changes.
    """
    for callback, average in _averages(trainer).items():
        if isinstance(average, AveragedModel):
            average.use_buffers = False
        elif average.network is None:
            module.ensure_network()
            callback._average_model = deepcopy(module)


def _averages(trainer: Trainer) -> dict[Any, Any]:
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    averages = {callback: getattr(callback, "_average_model", None) for callback in callbacks}
    return {callback: average for callback, average in averages.items() if average is not None}
