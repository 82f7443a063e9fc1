"""What distillation compares: logits, hidden states, queries, keys and values, by name."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from modules.families import layer_parts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LOGITS = "logits"
PROJECTIONS = ("query", "key", "value")
_NAME = re.compile(r"(hidden|query|key|value)_(\d+)")


class Features:
    """Reads tensors out of a network's forward passes.

    ``logits`` ``[batch, num_labels]``; ``hidden_0`` is the embeddings' output and ``hidden_n`` that
    of layer n, ``[batch, seq, hidden]``; ``query_n``, ``key_n`` and ``value_n`` are the projections
    of layer n, ``[batch, seq, heads * head_size]``, whatever kernel then attends. Hidden states
    come through `network_options`; the projections through hooks, which keep the tensors of the
    last forward pass in training mode (``always`` for any mode) until `clear`.

    Args:
        network: A sequence classifier; projections need a family of `modules.families`.
        names: Which.
        always: Keep what passes in evaluation mode, too.
    """

    def __init__(
        self, network: "PreTrainedModel", names: Sequence[str], always: bool = False
    ) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._network = network
        self._always = always
        self._kept: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        for name in self.names:
            kind, layer = kind_and_layer(name)
            if kind in PROJECTIONS:
                self._handles.append(self._keep(name, kind, layer))

    @property
    def network_options(self) -> dict[str, Any]:
        """Keyword arguments that the forward pass needs."""
        return network_options(self.names)

    def width(self, name: str) -> int:
        """Size of the last axis of a feature that has tokens."""
        kind, layer = kind_and_layer(name)
        if kind == "hidden":
            return int(self._network.config.hidden_size)
        return self._projection(kind, layer).out_features

    def of(self, outputs: Any) -> dict[str, Tensor]:
        """The features of the last forward pass, by name.

        Args:
            outputs: What the pass returned.
        """
        return {name: self._feature(name, outputs) for name in self.names}

    def clear(self) -> None:
        """Let go of the last forward pass."""
        self._kept.clear()

    def remove(self) -> None:
        """Take the hooks off the network."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.clear()

    def _feature(self, name: str, outputs: Any) -> Tensor:
        kind, layer = kind_and_layer(name)
        tensor: Tensor
        if kind == LOGITS:
            tensor = outputs.logits
        elif kind == "hidden":
            tensor = outputs.hidden_states[layer]
        else:
            tensor = self._kept[name]
        return tensor

    def _keep(self, name: str, kind: str, layer: int) -> RemovableHandle:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if module.training or self._always:
                self._kept[name] = output

        return self._projection(kind, layer).register_forward_hook(keep)

    def _projection(self, kind: str, layer: int) -> nn.Linear:
        linear: nn.Linear = getattr(layer_parts(self._network)[layer - 1], kind)
        return linear


def network_options(names: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments of a forward pass from which features of these names are read."""
    needs_hidden = any(kind_and_layer(name)[0] == "hidden" for name in names)
    return {"output_hidden_states": True} if needs_hidden else {}


def kind_and_layer(name: str) -> tuple[str, int]:
    """``hidden_3`` -> ``("hidden", 3)``; logits are of layer 0."""
    match = _NAME.fullmatch(name)
    return (LOGITS, 0) if match is None else (match.group(1), int(match.group(2)))
