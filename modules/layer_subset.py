"""An encoder with some of its layers alone, for a while."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import nn

from modules.families import layout_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def layer_list(network: "PreTrainedModel") -> nn.ModuleList:
    """The encoder layers, bottom first."""
    layers = network.base_model.get_submodule(layout_of(network).layers)
    assert isinstance(layers, nn.ModuleList)
    return layers


def set_layer_list(network: "PreTrainedModel", layers: nn.ModuleList) -> None:
    """Put other layers in the place of those that there are; nothing else is told."""
    network.base_model.set_submodule(layout_of(network).layers, layers)


@contextmanager
def only_layers(network: "PreTrainedModel", layers: Sequence[int]) -> Iterator[None]:
    """Within, the network has these of its layers alone, by position, in this order."""
    whole = layer_list(network)
    set_layer_list(network, nn.ModuleList([whole[layer] for layer in layers]))
    try:
        yield
    finally:
        set_layer_list(network, whole)
