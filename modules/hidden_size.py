"""Fewer hidden dimensions throughout a network, and fewer channels in each attention head."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lightning_app.functional.importance import magnitude_importance, normalize_by_layer
from lightning_app.pretrained import network_from_config
from modules.families import LayerParts, layer_parts, layout_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_POSITION_BIAS = "relative_attention_bias.weight"


@torch.no_grad()
def hidden_importance(network: "PreTrainedModel") -> Tensor:
    """``[hidden]``: the mean square of each dimension behind all LayerNorms, each to norm 1.

    Muralidharan et al. 2024, "Compact Language Models via Pruning and Knowledge Distillation"
    (arXiv:2407.14679, section 2.2), take the size of LayerNorms' outputs on data. Of inputs of
    mean 0 and variance 1 it is ``weight**2 + bias**2``, and data is not needed.
    """
    hidden = (network.config.hidden_size,)
    modules = network.base_model.modules()
    norms = [m for m in modules if isinstance(m, nn.LayerNorm) and m.normalized_shape == hidden]
    sizes = [
        magnitude_importance(norm.weight, order=2) + magnitude_importance(norm.bias, order=2)
        for norm in norms
    ]
    return torch.stack(normalize_by_layer(sizes)).sum(dim=0)


@torch.no_grad()
def cut_hidden_size(
    network: "PreTrainedModel", config: Mapping[str, Any], dimensions: Tensor
) -> "PreTrainedModel":
    """A network of a smaller hidden size, made of slices of the weights of ``network``.

    The same hidden dimensions stay everywhere, as the residual stream runs through all layers, and
    the pooler's and head's own dimensions are those too. Where heads have fewer channels, those
    of queries and keys, and those of values, are chosen for each head by magnitude, and queries
    are scaled so that scores keep their size. Dimensions that repeat others (LayerNorm's mean and
    variance stay) and channels that are zero go without a change of the logits.

    Args:
        network: Of a family in `modules.families.FAMILIES`, with as many layers, heads and FFN
            neurons as ``config`` says; which heads they are may differ by layer, unless the
            family shares a position bias among layers (MPNet).
        config: Plain values; its hidden size is smaller, its channels in a head no more.
        dimensions: ``[hidden size of config]``, ascending positions of those that stay.
    """
    smaller = network_from_config(config)
    smaller.to(network.dtype)  # type: ignore[arg-type]  # transformers wraps it
    weights = _weights_of_head_size(network, layer_parts(smaller)[0].head_size)
    for name, target in smaller.state_dict().items():
        # Channels are cut already, so what still differs in size is an axis of hidden dimensions.
        for axis, size in enumerate(target.shape):
            if weights[name].shape[axis] != size:
                weights[name] = weights[name].index_select(axis, dimensions)
    smaller.load_state_dict(weights)
    return smaller


def most_important(importance: Tensor, count: int) -> Tensor:
    """Ascending positions of the largest; of equal ones the first."""
    return importance.argsort(descending=True, stable=True)[:count].sort().values


def _weights_of_head_size(network: "PreTrainedModel", head_size: int) -> dict[str, Tensor]:
    """The weights, with so many channels in each head."""
    weights: dict[str, Tensor] = dict(network.state_dict())
    layout, layers = layout_of(network), layer_parts(network)
    for number, parts in enumerate(layers):
        prefix = f"{network.base_model_prefix}.{layout.layers}.{number}."
        if parts.head_size != head_size:
            weights |= {prefix + name: w for name, w in _cut_heads(parts, head_size).items()}
    for name in weights:
        if name.endswith(_POSITION_BIAS):
            weights[name] = weights[name][:, list(layers[0].heads)]
    return weights


def _cut_heads(parts: LayerParts, head_size: int) -> dict[str, Tensor]:
    """The attention's weights, named within the layer, with so many channels in each head."""
    layout = parts.layout
    rows = {
        name: magnitude_importance(linear.weight, order=2).sum(dim=1)
        for name, linear in (("q", parts.query), ("k", parts.key), ("v", parts.value))
    }
    columns = magnitude_importance(parts.attention_output.weight, order=2).sum(dim=0)
    scores = _channels(rows["q"] * rows["k"], parts.head_size, head_size)
    values = _channels(rows["v"] * columns, parts.head_size, head_size)
    # Attention divides scores by the square root of the channels.
    scale = (head_size / parts.head_size) ** 0.5
    output = parts.attention_output.weight[:, values]
    return {
        f"{layout.query}.weight": parts.query.weight[scores] * scale,
        f"{layout.query}.bias": parts.query.bias[scores] * scale,
        f"{layout.key}.weight": parts.key.weight[scores],
        f"{layout.key}.bias": parts.key.bias[scores],
        f"{layout.value}.weight": parts.value.weight[values],
        f"{layout.value}.bias": parts.value.bias[values],
        f"{layout.attention_output}.weight": output,
    }


def _channels(importance: Tensor, head_size: int, kept: int) -> Tensor:
    """Of ``[all_head_size]``, the positions of the ``kept`` most important of each head."""
    heads = importance.reshape(-1, head_size)
    first = torch.arange(0, importance.numel(), head_size, device=importance.device)
    return torch.cat([most_important(h, kept) + f for h, f in zip(heads, first, strict=True)])
