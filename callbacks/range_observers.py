"""The ranges of activations over the batches of a run, equal on all processes."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lightning_app.functional.quantization import (
    min_max_range,
    moving_average,
    percentile_range,
)
from modules.fake_quantization import FakeQuantizedLinear, Observer

ObserverKind = Literal["min_max", "percentile"]
OBSERVERS: tuple[ObserverKind, ...] = ("min_max", "percentile")

Ranges = dict[str, tuple[float, float]]


class RangeObservers:
    """Watches the inputs of linear layers in training, and averages their ranges over batches.

    Args:
        kind: ``min_max`` of a batch, or the ``percentile`` of it.
        percentile: Share of a batch's values within its range, in per cent.
        averaging_constant: See `lightning_app.functional.quantization.moving_average`.
    """

    def __init__(self, kind: ObserverKind, percentile: float, averaging_constant: float) -> None:
        self.kind = kind
        self.averaging_constant = averaging_constant
        self.num_batches = 0
        self._observe: Observer = min_max_range
        if kind == "percentile":
            self._observe = partial(percentile_range, percentile=percentile)
        self._modules: dict[str, FakeQuantizedLinear] = {}

    def attach(self, modules: Mapping[str, FakeQuantizedLinear]) -> None:
        """Watch these from the next forward pass on."""
        self._modules = dict(modules)
        for module in modules.values():
            module.observer = self._observe

    def detach(self) -> None:
        """Watch nothing any more."""
        for module in self._modules.values():
            module.observer = module.observed = None
        self._modules = {}

    def forget_batch(self) -> None:
        """What was seen since the last :meth:`update`."""
        for module in self._modules.values():
            module.observed = None

    def update(self, trainer: Trainer) -> Ranges:
        """The ranges with the batch that was just seen, by module; without those that saw none."""
        seen = {name: m for name, m in self._modules.items() if m.observed is not None}
        if not seen:
            return {}
        self.num_batches += 1
        batch = self._over_processes(trainer, [m.observed for m in seen.values()])
        before = torch.tensor(
            [
                m.quantization.activation_range or new
                for m, new in zip(seen.values(), batch.tolist(), strict=True)
            ],
            dtype=torch.float64,
        )
        ranges = moving_average(before, batch, self.averaging_constant, self.num_batches)
        self.forget_batch()
        return {name: (low, high) for name, (low, high) in zip(seen, ranges.tolist(), strict=True)}

    def _over_processes(self, trainer: Trainer, observed: list[Any]) -> Tensor:
        """``[modules, 2]``: of the global batch; the percentile of it is taken to be the mean."""
        gathered: Tensor = trainer.strategy.all_gather(torch.stack(observed))
        of_processes = gathered.reshape(-1, len(observed), 2).cpu().double()
        if self.kind == "percentile":
            return of_processes.mean(dim=0)
        low, high = of_processes.unbind(-1)
        return torch.stack((low.amin(dim=0), high.amax(dim=0)), dim=-1)
