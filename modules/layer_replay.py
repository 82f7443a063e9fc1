"""Logits of the same batches again and again, while only the upper layers change."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from modules.families import FAMILIES
from modules.layer_subset import layer_list, set_layer_list

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_BYTES = 2**30
"""What may be kept of a layer's outputs: 4,000 rows of 90 tokens of BERT-base."""


class LayerReplay:
    """Evaluates a network from one of its encoder layers on; those below run once a batch.

    Logits are, to the bit, those of the whole network, as long as nothing below that layer has
    changed. A network of a family that is not in `modules.families.FAMILIES`, or whose outputs
    take more than ``max_bytes``, is evaluated whole each time.

    Args:
        network: In evaluation mode.
        batches: What the network is called with, on its device.
        max_bytes: For the outputs of one layer, of all batches.
    """

    def __init__(
        self,
        network: "PreTrainedModel",
        batches: Sequence[Mapping[str, Tensor]],
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._network = network
        self._batches = batches
        self._start = 0
        self._outputs: list[Any] = []
        self._can_replay = network.config.model_type in FAMILIES and (
            _bytes_of_hidden_states(network, batches) <= max_bytes
        )

    @torch.inference_mode()
    def start_at(self, layer: int) -> None:
        """Compute from this layer on; the network must be as it is to be below it."""
        if not self._can_replay or layer == self._start:
            return
        if layer < self._start:
            self._start, self._outputs = 0, []
        self._outputs = self._outputs_of(layer - 1) if layer else []
        self._start = layer

    @torch.inference_mode()
    def logits(self, number: int) -> Tensor:
        """Logits ``[batch, num_labels]`` of a batch, by its position."""
        with self._without_lower_layers(number):
            logits: Tensor = self._network(**self._batches[number]).logits
        return logits

    def _outputs_of(self, layer: int) -> list[Any]:
        outputs: list[Any] = []

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs.append(output)
            raise _EnoughError  # what is above is not wanted

        handle = layer_list(self._network)[layer].register_forward_hook(keep)
        try:
            for number in range(len(self._batches)):
                with suppress(_EnoughError):
                    self.logits(number)
        finally:
            handle.remove()
        return outputs

    @contextmanager
    def _without_lower_layers(self, number: int) -> Iterator[None]:
        if not self._start:
            yield
            return
        layers = layer_list(self._network)
        replayed = nn.ModuleList([_Replayed(self._outputs[number]), *layers[self._start :]])
        try:
            set_layer_list(self._network, replayed)
            yield
        finally:
            set_layer_list(self._network, layers)


class _EnoughError(Exception):
    """Ends a forward pass."""


class _Replayed(nn.Module):
    """Stands for the layers below, and gives what they gave."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self._output = output

    def forward(self, *_: Any, **__: Any) -> Any:
        return self._output


def _bytes_of_hidden_states(
    network: "PreTrainedModel", batches: Sequence[Mapping[str, Tensor]]
) -> int:
    tokens = sum(batch["input_ids"].numel() for batch in batches)
    return tokens * int(network.config.hidden_size) * network.dtype.itemsize
