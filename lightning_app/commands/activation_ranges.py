"""The ranges of what linear layers are given, over batches, without training."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from lightning_app.commands.row_scorer import Precision
from lightning_app.functional.activation_histogram import (
    NUM_BINS,
    entropy_threshold,
    histogram,
    percentile_of_histogram,
)
from modules.network_inputs import network_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

RangeKind = Literal["min_max", "percentile", "entropy"]
RANGE_KINDS: tuple[RangeKind, ...] = ("min_max", "percentile", "entropy")

Ranges = dict[str, tuple[float, float]]
Batches = Sequence[Mapping[str, Tensor]]
_See = Callable[[str, Tensor], None]


def activation_ranges(
    network: "PreTrainedModel",
    names: Sequence[str],
    batches: Batches,
    kind: RangeKind = "min_max",
    percentile: float = 99.999,
    precision: Precision = nullcontext,
) -> Ranges:
    """Ranges of the inputs of linear layers over all tokens that are not padding.

    ``percentile`` and ``entropy`` see the batches twice: their histograms are between the smallest
    and the largest value of all of them.

    Args:
        network: In evaluation mode, with nothing rounded.
        names: Of linear layers in it.
        batches: On its device; those of a data module, of which the network is given what it reads.
        kind: The smallest and the largest value; without the outermost; or clipped at the magnitude
            at which the least information is lost.
        percentile: Share of the values within, in (0, 100] per cent.
        precision: Of the network's calls.

    Returns:
        By name; without the layers that took no part.
    """
    see = partial(_see_all, network, names, batches, precision)
    extremes = _extremes(see)
    if kind == "percentile":
        return _percentiles(see, extremes, percentile)
    return _clipped(see, extremes) if kind == "entropy" else extremes


def _extremes(see: Callable[[_See], None]) -> Ranges:
    found: Ranges = {}

    def widen(name: str, values: Tensor) -> None:
        low, high = (float(value) for value in torch.aminmax(values))
        before = found.get(name, (low, high))
        found[name] = (min(low, before[0]), max(high, before[1]))

    see(widen)
    return found


def _percentiles(see: Callable[[_See], None], extremes: Ranges, percentile: float) -> Ranges:
    counts = {name: torch.zeros(NUM_BINS, dtype=torch.int64) for name in extremes}

    def count(name: str, values: Tensor) -> None:
        counts[name] += histogram(values, *extremes[name]).cpu()

    see(count)
    return {n: percentile_of_histogram(counts[n], *extremes[n], percentile) for n in extremes}


def _clipped(see: Callable[[_See], None], extremes: Ranges) -> Ranges:
    counts = {name: torch.zeros(NUM_BINS, dtype=torch.int64) for name in extremes}
    largest = {name: max(-low, high) for name, (low, high) in extremes.items()}

    def count(name: str, values: Tensor) -> None:
        # The grid says zero exactly, and behind a ReLU half of the values are zero.
        counts[name] += histogram(values[values != 0].abs(), 0.0, largest[name]).cpu()

    see(count)
    limits = {name: entropy_threshold(counts[name], largest[name]) for name in extremes}
    return {n: (max(low, -limits[n]), min(high, limits[n])) for n, (low, high) in extremes.items()}


def _see_all(
    network: "PreTrainedModel",
    names: Sequence[str],
    batches: Batches,
    precision: Precision,
    see: _See,
) -> None:
    for batch in batches:
        mask = batch["attention_mask"].bool()
        with torch.inference_mode(), precision(), _hooks(network, names, mask, see):
            network(**network_inputs(batch))


@contextmanager
def _hooks(
    network: "PreTrainedModel", names: Sequence[str], mask: Tensor, see: _See
) -> Iterator[None]:
    def look(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        see(name, _of_tokens(inputs[0].detach().float(), mask))

    handles = [
        network.get_submodule(name).register_forward_pre_hook(partial(look, name)) for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _of_tokens(hidden: Tensor, mask: Tensor) -> Tensor:
    """Without padding; in the last layer there may be nothing but first tokens already."""
    if hidden.dim() == 3 and hidden.shape[:2] == mask.shape:
        return hidden[mask]
    return hidden
