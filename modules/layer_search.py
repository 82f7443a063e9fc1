"""Which layers of a teacher a student does best with, found on training rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lightning_app.functional.losses import task_losses
from modules.layer_subset import layer_list, only_layers
from modules.network_inputs import network_inputs
from modules.structure import evaluation_mode

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Batches = Callable[[], Iterable[Mapping[str, Any]]]
"""Makes the calibration batches anew: network inputs and ``labels``."""


def search_layers(
    network: "PreTrainedModel", wanted: int, batches: Batches, problem_type: str
) -> list[int]:
    """Drop layers one after the other, each time the one that the loss misses least.

    Backward elimination on the task loss without training in between; for 3 of 6 layers the
    batches are passed 15 times. The network must be fine-tuned: of a new head the loss says
    nothing.

    Args:
        network: Of a family in `modules.families.FAMILIES`; left as it was.
        wanted: Layers to keep, in [1, number of layers].
        batches: Rows to measure the loss on, the same in every call.
        problem_type: Of the task.

    Returns:
        Ascending positions of the layers to keep.
    """
    kept = list(range(len(layer_list(network))))
    while len(kept) > wanted:
        choices = [[layer for layer in kept if layer != dropped] for dropped in kept]
        losses = [_mean_loss(network, choice, batches, problem_type) for choice in choices]
        kept = choices[int(torch.tensor(losses).argmin())]
    return kept


@torch.no_grad()
def _mean_loss(
    network: "PreTrainedModel", layers: Sequence[int], batches: Batches, problem_type: str
) -> float:
    losses: list[Tensor] = []
    with only_layers(network, layers), evaluation_mode(network):
        for batch in batches():
            logits = network(**network_inputs(batch)).logits
            losses.append(task_losses(logits, batch["labels"], problem_type))
    return float(torch.cat(losses).mean())
