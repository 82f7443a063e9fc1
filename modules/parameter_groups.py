"""Parameter groups of AdamW: weight decay off biases and LayerNorms, layer-wise learning rates."""

import re
from collections.abc import Iterable
from typing import Any

from torch.nn import Parameter

_LAYER = re.compile(r"\.(?:layer|layers|h|block)\.(\d+)\.")


def parameter_groups(
    named_parameters: Iterable[tuple[str, Parameter]],
    learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Groups for `torch.optim.AdamW`, each with a ``name``.

    With ``layer_decay`` < 1 the layer below has the learning rate of the layer above times
    ``layer_decay`` (Howard & Ruder 2018, arXiv:1801.06146, section 3.2, "discriminative
    fine-tuning"; Clark et al. 2020, arXiv:2003.10555, table 7, for encoders): the head has the
    full rate, the embeddings the lowest.

    Args:
        named_parameters: Name and parameter.
        learning_rate: Of the head.
        weight_decay: Of matrices; biases and LayerNorms (one dimension) have none.
        layer_decay: Factor a layer, in (0, 1].
    """
    parameters = list(named_parameters)
    num_layers = 1 + max((_layer(name) or 0 for name, _ in parameters), default=0)
    groups: dict[tuple[int, bool], list[Parameter]] = {}
    for name, parameter in parameters:
        depth = 0 if layer_decay == 1.0 else _layers_below_head(name, num_layers)
        groups.setdefault((depth, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "name": _group_name(depth, decays, num_layers, layer_decay),
            "params": members,
            "lr": learning_rate * layer_decay**depth,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (depth, decays), members in sorted(groups.items(), key=lambda item: item[0])
    ]


def _layer(name: str) -> int | None:
    match = _LAYER.search(name)
    return int(match.group(1)) if match else None


def _layers_below_head(name: str, num_layers: int) -> int:
    layer = _layer(name)
    if layer is not None:
        return num_layers - layer
    return num_layers + 1 if "embeddings" in name else 0


def _group_name(depth: int, decays: bool, num_layers: int, layer_decay: float) -> str:
    kind = "decay" if decays else "no_decay"
    if layer_decay == 1.0:
        return kind
    if depth == 0:
        return f"head_{kind}"
    place = "embeddings" if depth == num_layers + 1 else f"layer{num_layers - depth}"
    return f"{place}_{kind}"
