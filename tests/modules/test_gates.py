from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_app.functional.losses import task_losses
from modules.acceleration import accelerate
from modules.families import layer_parts
from modules.gates import LayerGates, gate_gradients, gates_applied, gates_closed
from modules.structure import remove_heads_and_neurons
from tests.modules.test_families import CONFIGS, IDS, MASK, logits_of, tiny_network

INPUTS = {"input_ids": IDS, "attention_mask": MASK}
LABELS = torch.tensor([0, 1, 0])


def open_gates(network: Any, samples: int = 3) -> list[LayerGates]:
    dtype = next(network.parameters()).dtype
    return [
        LayerGates(
            torch.ones(samples, parts.num_heads, dtype=dtype),
            torch.ones(samples, parts.intermediate_size, dtype=dtype),
        )
        for parts in layer_parts(network)
    ]


def cross_entropy(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, LABELS, reduction="none")


@torch.no_grad()
def gated_losses(network: Any, gates: list[LayerGates]) -> Tensor:
    with gates_applied(network, gates):
        return cross_entropy(network(**INPUTS).logits)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("fast", [False, True])
def test_gradients_are_finite_differences(name: str, fast: bool) -> None:
    network = tiny_network(name).double().eval()
    if fast:
        assert accelerate(network) is not None
    gradients = gate_gradients(network, INPUTS, cross_entropy)
    step = 1e-5
    for layer, kind, place in ((0, 0, 1), (1, 1, 20), (2, 0, 3), (2, 1, 7)):
        up, down = open_gates(network), open_gates(network)
        up[layer][kind][:, place] += step
        down[layer][kind][:, place] -= step
        # Each sample has gates of its own: one difference shows the gradients of all rows.
        slope = (gated_losses(network, up) - gated_losses(network, down)) / (2 * step)
        assert slope.abs().min() > 1e-6
        torch.testing.assert_close(gradients[layer][kind][:, place], slope, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("row", range(3))
def test_a_row_belongs_to_its_sample(row: int) -> None:
    network = tiny_network("bert")
    together = gate_gradients(network, INPUTS, cross_entropy)
    own = {name: tensor[row : row + 1] for name, tensor in INPUTS.items()}
    label = LABELS[row : row + 1]
    alone = gate_gradients(
        network, own, lambda logits: task_losses(logits, label, "single_label_classification")
    )
    for one, all_rows in zip(alone, together, strict=True):
        torch.testing.assert_close(one.heads[0], all_rows.heads[row], rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(one.neurons[0], all_rows.neurons[row], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_first_token_shortcut_changes_no_gradient(name: str) -> None:
    network = tiny_network(name)
    expected = gate_gradients(network, INPUTS, cross_entropy)
    assert accelerate(network) is not None
    gradients = gate_gradients(network, INPUTS, cross_entropy)
    for layer, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(layer.heads, wanted.heads, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(layer.neurons, wanted.neurons, rtol=1e-4, atol=1e-6)


def test_shapes_follow_the_structure() -> None:
    network = tiny_network("distilbert")
    remove_heads_and_neurons(network, [[0], [], [1, 2]], [[], [3], [4, 5]])
    gradients = gate_gradients(network, INPUTS, cross_entropy)
    assert [tuple(layer.heads.shape) for layer in gradients] == [(3, 3), (3, 4), (3, 2)]
    assert [tuple(layer.neurons.shape) for layer in gradients] == [(3, 24), (3, 23), (3, 22)]


@torch.no_grad()
def test_leaves_the_network_as_it_was() -> None:
    network = tiny_network("bert").train()
    network.bert.pooler.eval()
    network.bert.embeddings.requires_grad_(False)
    kept = torch.ones_like(network.classifier.weight)
    network.classifier.weight.grad = kept
    modes = [module.training for module in network.modules()]
    first = gate_gradients(network, INPUTS, cross_entropy)
    again = gate_gradients(network, INPUTS, cross_entropy)
    assert [module.training for module in network.modules()] == modes
    assert network.classifier.weight.grad is kept
    assert all(p.grad is None for p in network.base_model.parameters())
    assert not any(module._forward_pre_hooks for module in network.modules())
    for one, other in zip(first, again, strict=True):  # no dropout
        assert torch.equal(one.heads, other.heads)
        assert not one.neurons.requires_grad


def test_closed_gates_open_again() -> None:
    network = tiny_network("roberta")
    before = logits_of(network)
    with gates_closed(network, [[0, 1, 2, 3], [], []], [[], [2], []]):
        closed = logits_of(network)
    assert (closed - before).abs().max() > 1e-3
    assert torch.equal(logits_of(network), before)


def test_a_mean_loss_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one loss for each of the 3 samples, got shape \[\]"):
        gate_gradients(tiny_network("bert"), INPUTS, lambda logits: cross_entropy(logits).mean())
