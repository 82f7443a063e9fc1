"""Modules that are quantized together or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from modules.families import FAMILIES, layer_parts

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ModuleGroup:
    """Modules that are rounded together: a runtime would turn their input to integers once.

    Args:
        name: For people.
        modules: Names in the network.
        layer: Position of the encoder layer; None outside of them.
    """

    name: str
    modules: tuple[str, ...]
    layer: int | None = None


def module_groups(network: "PreTrainedModel", names: Sequence[str]) -> list[ModuleGroup]:
    """The embeddings, of each layer query, key and value, and every other module for itself.

    Of a family that is not in `modules.families.FAMILIES` layers are not known, and each linear
    layer is for itself.

    Args:
        network: That the modules are in.
        names: Of linear layers and embeddings, in order.

    Returns:
        In the order of their first modules; those of a layer know which.
    """
    places = _places(network)
    found: dict[str, tuple[int | None, list[str]]] = {}
    for name in names:
        module = network.get_submodule(name)
        layer, group = places.get(id(module), (None, name))
        if isinstance(module, nn.Embedding):
            layer, group = None, "embeddings"
        found.setdefault(group, (layer, []))[1].append(name)
    return [ModuleGroup(group, tuple(inside), layer) for group, (layer, inside) in found.items()]


def _places(network: "PreTrainedModel") -> dict[int, tuple[int | None, str]]:
    """Layer and group of each linear layer of the encoder, by identity."""
    places: dict[int, tuple[int | None, str]] = {}
    if network.config.model_type not in FAMILIES:
        return places
    for layer, parts in enumerate(layer_parts(network)):
        of_parts = {
            "query, key, value": (parts.query, parts.key, parts.value),
            parts.layout.attention_output: (parts.attention_output,),
            parts.layout.intermediate: (parts.intermediate,),
            parts.layout.output: (parts.output,),
        }
        for group, modules in of_parts.items():
            places |= {id(module): (layer, f"layer {layer} {group}") for module in modules}
    return places
