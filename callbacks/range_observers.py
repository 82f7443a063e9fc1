"""The ranges of activations over the batches of a run, equal on all processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lightning_app.functional.quantization import (
    moving_average,
    num_outside,
    outermost,
    range_within,
)
from modules.fake_quantization import FakeQuantizedLinear

ObserverKind = Literal["min_max", "percentile"]
OBSERVERS: tuple[ObserverKind, ...] = ("min_max", "percentile")

Ranges = dict[str, tuple[float, float]]


@dataclass
class _Batch:
    """What observers have to know of it.

    Attributes:
        real: ``[batch, seq]``, false at padding.
        num_rows: Of the global batch; not counted for ``min_max``.
        num_tokens: Of the global batch, without padding; not counted for ``min_max``.
    """

    real: Tensor | None = None
    num_rows: int = 0
    num_tokens: int = 0


class RangeObservers:
    """Watches the inputs of linear layers in training, and averages their ranges over batches.

    Padding does not count, so it is the same however rows are put together and shared among
    processes. A range holds zero.

    Args:
        kind: ``min_max`` of the global batch, or the ``percentile`` of it.
        percentile: Share of a batch's values within its range, in per cent.
        averaging_constant: See `lightning_app.functional.quantization.moving_average`.
    """

    def __init__(self, kind: ObserverKind, percentile: float, averaging_constant: float) -> None:
        self.percentile = 100.0 if kind == "min_max" else percentile
        self.averaging_constant = averaging_constant
        self.num_batches = 0
        self._batch = _Batch()
        self._modules: dict[str, FakeQuantizedLinear] = {}

    def attach(self, modules: Mapping[str, FakeQuantizedLinear]) -> None:
        """Watch these from the next forward pass on."""
        self._modules = dict(modules)
        for module in modules.values():
            # Of the batch alone: a copy of the network must not bring another of `self`.
            module.observer = partial(_ends, batch=self._batch, percentile=self.percentile)

    def detach(self) -> None:
        """Watch nothing any more."""
        for module in self._modules.values():
            module.observer = module.observed = None
        self._modules = {}
        self._batch.real = None

    def begin_batch(self, trainer: Trainer, batch: Mapping[str, Any]) -> None:
        """Forget what was seen since the last :meth:`update`; this batch comes next."""
        if not self._modules:
            return
        for module in self._modules.values():
            module.observed = None
        self._batch.real = batch["attention_mask"].bool()
        if self.percentile < 100:
            here = torch.stack((self._batch.real[:, 0].sum(), self._batch.real.sum()))
            counts: Tensor = trainer.strategy.all_gather(here)
            self._batch.num_rows, self._batch.num_tokens = counts.view(-1, 2).sum(0).tolist()

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
        for module in seen.values():
            module.observed = None
        return {name: (low, high) for name, (low, high) in zip(seen, ranges.tolist(), strict=True)}

    def _over_processes(self, trainer: Trainer, observed: list[Any]) -> Tensor:
        """``[modules, 2]``: of the global batch."""
        sizes = [ends.shape[1] for ends in observed]
        gathered: Tensor = trainer.strategy.all_gather(torch.cat(observed, dim=1))
        of_processes = gathered.reshape(-1, 2, sum(sizes)).cpu().double()
        ends = torch.split(of_processes, sizes, dim=2)
        ranges = torch.stack([range_within(e, n - 1) for e, n in zip(ends, sizes, strict=True)])
        low, high = ranges.unbind(1)
        return torch.stack((low.clamp(max=0.0), high.clamp(min=0.0)), dim=1)


def _ends(values: Tensor, batch: _Batch, percentile: float) -> Tensor:
    """As many as the percentile leaves out of the global batch, and one more.

    Padding becomes zero, which no range is without.
    """
    assert batch.real is not None
    count = batch.num_rows
    if values.shape[:-1].numel() == batch.real.numel():  # or it is of the first tokens alone
        count = batch.num_tokens
        values = values.masked_fill(~batch.real.view(*values.shape[:-1], 1), 0.0)
    return outermost(values, num_outside(count * values.shape[-1], percentile) + 1)
