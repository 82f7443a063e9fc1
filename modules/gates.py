"""Gates on attention heads and FFN neurons: how much the loss would change without them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from modules.families import LayerParts, layer_parts
from modules.structure import evaluation_mode

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class LayerGates(NamedTuple):
    """Factors on the heads and FFN neurons of one layer, or the gradients of them.

    Args:
        heads: ``[samples, heads]``; ``[1, heads]`` for the same in all samples.
        neurons: ``[samples, intermediate]``; ``[1, intermediate]`` for the same in all samples.
    """

    heads: Tensor
    neurons: Tensor


def gate_gradients(
    network: "PreTrainedModel",
    inputs: Mapping[str, Tensor],
    losses: Callable[[Tensor], Tensor],
) -> list[LayerGates]:
    """Gradient of each sample's loss to a gate of one on each head and each FFN neuron.

    Its size is the first-order estimate of what removing the head or neuron does to the loss:
    Michel et al. 2019, "Are Sixteen Heads Really Better than One?" (arXiv:1905.10650, section
    4.1); Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning"
    (arXiv:1906.10771, section 3.1). Without dropout; parameters get no gradient and the network
    stays in the mode that it is in. With or without the first-token shortcut.

    Args:
        network: Of a family in `modules.families.FAMILIES`.
        inputs: What the network is called with, ``[samples, seq]`` each.
        losses: From logits ``[samples, num_labels]`` to losses ``[samples]``, each of its own
            sample's logits alone.

    Returns:
        For each layer the gradients, heads ``[samples, heads]`` and neurons
        ``[samples, intermediate]``, by their present position.

    Example::

        gradients = gate_gradients(
            network, inputs, lambda logits: task_losses(logits, labels, problem_type)
        )
    """
    samples = next(iter(inputs.values())).shape[0]
    with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(network):
        gates = [_open_gates(parts, samples) for parts in layer_parts(network)]
        leaves = [gate.requires_grad_() for layer in gates for gate in layer]
        with gates_applied(network, gates):
            values = losses(network(**inputs).logits)
        if values.shape != (samples,):
            raise ValueError(
                f"Expected `losses` to return one loss for each of the {samples} samples, got"
                f" shape {list(values.shape)}."
            )
        gradients = iter(torch.autograd.grad(values.sum(), leaves))
    return [LayerGates(next(gradients), next(gradients)) for _ in gates]


@contextmanager
def gates_applied(network: "PreTrainedModel", gates: Sequence[LayerGates]) -> Iterator[None]:
    """Within, each head's output and each FFN neuron is multiplied by its gate."""
    with ExitStack() as hooks:
        for parts, layer in zip(layer_parts(network), gates, strict=True):
            channels = layer.heads.repeat_interleave(parts.head_size, -1)
            hooks.enter_context(_input_multiplied(parts.attention_output, channels))
            hooks.enter_context(_input_multiplied(parts.output, layer.neurons))
        yield


@contextmanager
def gates_closed(
    network: "PreTrainedModel", heads: Sequence[Sequence[int]], neurons: Sequence[Sequence[int]]
) -> Iterator[None]:
    """Within, these heads and neurons, by their present positions in each layer, give zero."""
    gates = [_open_gates(parts, 1) for parts in layer_parts(network)]
    for layer, layer_heads, layer_neurons in zip(gates, heads, neurons, strict=True):
        layer.heads[:, list(layer_heads)] = 0
        layer.neurons[:, list(layer_neurons)] = 0
    with gates_applied(network, gates):
        yield


def _open_gates(parts: LayerParts, samples: int) -> LayerGates:
    weight = parts.output.weight
    return LayerGates(
        *(
            torch.ones(samples, count, dtype=weight.dtype, device=weight.device)
            for count in (parts.num_heads, parts.intermediate_size)
        )
    )


@contextmanager
def _input_multiplied(linear: nn.Linear, factor: Tensor) -> Iterator[None]:
    """Multiply the input ``[samples, seq, in_features]`` by ``[samples, in_features]``."""

    def multiply(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (inputs[0] * factor[:, None], *inputs[1:])

    handle = linear.register_forward_pre_hook(multiply)
    try:
        yield
    finally:
        handle.remove()
