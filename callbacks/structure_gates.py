"""Gates on heads and neurons as masks on weights: static shapes, no name changes."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

from lightning_app.functional.structure_choice import Positions
from modules.families import LayerParts, layer_parts
from modules.text_classifier import TextClassifier


def gate_weights(model: TextClassifier) -> dict[str, Parameter]:
    """The weights whose columns are what heads and neurons give, by name: two a layer.

    A column of zeros is a closed gate: the network computes what it does without that head or
    neuron.
    """
    assert model.network is not None
    gates = [
        linear.weight
        for parts in layer_parts(model.network)
        for linear in (parts.attention_output, parts.output)
    ]
    named = {id(parameter): (name, parameter) for name, parameter in model.named_parameters()}
    return dict(named[id(weight)] for weight in gates)


def gate_masks(model: TextClassifier, heads: Positions, neurons: Positions) -> dict[str, Tensor]:
    """Masks ``[1, inputs]`` by name, False in the columns of these heads and neurons."""
    assert model.network is not None
    masks = []
    for parts, closed_heads, closed_neurons in zip(
        layer_parts(model.network), heads, neurons, strict=True
    ):
        open_heads = torch.ones(1, parts.num_heads, dtype=torch.bool)
        open_neurons = torch.ones(1, parts.intermediate_size, dtype=torch.bool)
        open_heads[:, closed_heads] = False
        open_neurons[:, closed_neurons] = False
        of_layer = (open_heads.repeat_interleave(parts.head_size, 1), open_neurons)
        masks += [mask.to(parts.output.weight.device) for mask in of_layer]
    return dict(zip(gate_weights(model), masks, strict=True))


def closed_gates(model: TextClassifier, masks: Mapping[str, Tensor]) -> tuple[Positions, Positions]:
    """Positions of the closed heads and neurons of each layer."""
    assert model.network is not None
    layers = layer_parts(model.network)
    if not masks:
        return [[] for _ in layers], [[] for _ in layers]
    names = list(gate_weights(model))
    heads = [
        _closed(masks[name].cpu()[0, :: parts.head_size])
        for parts, name in zip(layers, names[::2], strict=True)
    ]
    return heads, [_closed(masks[name].cpu()[0]) for name in names[1::2]]


def remove_closed(model: TextClassifier, masks: Mapping[str, Tensor], by: str) -> None:
    """Remove for good what the masks close; the network computes the same."""
    heads, neurons = closed_gates(model, masks)
    model.prune_structure(heads, neurons, by=by)


def head_columns(parts: LayerParts, tensor: Tensor) -> Tensor:
    """``[hidden, all_head_size]`` -> ``[hidden, heads, head_size]``."""
    return tensor.reshape(len(tensor), -1, parts.head_size)


def _closed(mask: Tensor) -> list[int]:
    return [int(position) for position in (~mask).nonzero().flatten()]
