"""A small network, widened in a way that changes nothing, is what the cut of it gives."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from modules.architecture import ArchitectureRecord
from modules.families import layout_of
from modules.hidden_size import cut_hidden_size, hidden_importance, most_important
from modules.structure import remove_heads_and_neurons
from tests.modules.test_families import CONFIGS, logits_of, tiny_network

HIDDEN, HEADS, HEAD_SIZE = 16, 4, 4  # of the small network
CASES = [(name, {}) for name in CONFIGS] + [("electra", {"embedding_size": HIDDEN})]
IDS = [f"{name}{'-no_projection' if changes else ''}" for name, changes in CASES]


def widened(small: Any, num_heads: int) -> Any:
    """Twice the hidden dimensions, each twice there and read once; attention's channels too.

    LayerNorm's mean and variance are those of the small network then. With 8 heads in place of 4
    every second one is new and writes zeros, with 4 every second channel of each is.
    """
    sizes = {"hidden_size": 2 * HIDDEN, "num_attention_heads": num_heads}
    if getattr(small.config, "embedding_size", None) == HIDDEN:
        sizes["embedding_size"] = 2 * HIDDEN
    big = AutoModelForSequenceClassification.from_config(_changed(small.config, sizes))
    positions = _channel_positions(num_heads)
    modules, target = dict(small.named_modules()), big.state_dict()
    for name, weight in small.state_dict().items():
        module, wide = modules[name.rpartition(".")[0]], target[name]
        wide.copy_(_wider(weight, wide, _roles(small, name, module), positions))
    big.load_state_dict(target)
    _keep_scores(big, num_heads)
    return big


def _changed(config: Any, sizes: dict[str, int]) -> Any:
    plain = config.to_dict()
    for name, size in sizes.items():
        plain[config.attribute_map.get(name, name)] = size
    return type(config).from_dict(plain)


def _channel_positions(num_heads: int) -> Tensor:
    head, channel = torch.arange(HEADS)[:, None], torch.arange(HEAD_SIZE)
    if num_heads == 2 * HEADS:
        return ((2 * head + 1) * HEAD_SIZE + channel).flatten()
    return (head * 2 * HEAD_SIZE + 2 * channel + 1).flatten()


def _roles(network: Any, name: str, module: nn.Module) -> tuple[str, ...]:
    layout = layout_of(network)
    part = name.rpartition(".")[0]
    rows = tuple(f".{x}" for x in (layout.query, layout.key, layout.value))
    columns = f".{layout.attention_output}"
    if part.endswith(rows):
        return ("channels", "read")
    if part.endswith(columns):
        return ("written", "channels")
    return ("written", "read" if isinstance(module, nn.Linear) else "written")


def _wider(weight: Tensor, wide: Tensor, roles: tuple[str, ...], positions: Tensor) -> Tensor:
    for axis in range(weight.ndim):
        if weight.shape[axis] == wide.shape[axis]:
            continue
        if wide.shape[axis] == 2 * HEADS:  # MPNet's table: zeros would hide a wrong column
            columns = torch.full((len(weight), 2 * HEADS), 3.0)
            columns[:, 1::2] = weight
            return columns
        double = weight.repeat_interleave(2, axis)
        everywhere = torch.arange(0, 2 * HIDDEN, 2)
        if roles[axis] != "written":
            kept = everywhere if roles[axis] == "read" else positions
            double = torch.zeros_like(double).index_copy(axis, kept, weight)
        weight = double
    return weight


@torch.no_grad()
def _keep_scores(big: Any, num_heads: int) -> None:
    """Twice the channels divide the scores by the square root of 2 more."""
    layout = layout_of(big)
    if num_heads == HEADS:
        for name, parameter in big.named_parameters():
            if f".{layout.query}." in name:
                parameter.mul_(2**0.5)


@pytest.mark.parametrize("num_heads", [HEADS, 2 * HEADS], ids=["channels", "heads"])
@pytest.mark.parametrize(("name", "changes"), CASES, ids=IDS)
def test_what_repeats_or_writes_zeros_is_cut_without_a_trace(
    name: str, changes: dict[str, Any], num_heads: int
) -> None:
    small = tiny_network(name, **changes)
    big = widened(small, num_heads)
    expected = logits_of(small)
    torch.testing.assert_close(logits_of(big), expected, rtol=0, atol=1e-5)
    if num_heads > HEADS:
        remove_heads_and_neurons(big, [[0, 2, 4, 6]] * 3, [[]] * 3)
    student = cut_hidden_size(big, plain_config(small), torch.arange(0, 2 * HIDDEN, 2))
    weights = student.state_dict()
    assert list(weights) == list(small.state_dict())
    for key, weight in small.state_dict().items():
        torch.testing.assert_close(weights[key], weight, rtol=1e-6, atol=1e-7, msg=key)
    torch.testing.assert_close(logits_of(student), expected, rtol=0, atol=1e-5)


def plain_config(network: Any, **sizes: int) -> dict[str, Any]:
    return {**ArchitectureRecord.of_config("base", network.config).config, **sizes}


def test_the_same_dimensions_stay_in_every_weight() -> None:
    network, wanted = tiny_network("bert"), [1, 2, 5, 7, 8, 11, 12, 14]
    config = plain_config(network, hidden_size=8)
    before = network.state_dict()
    after = cut_hidden_size(network, config, torch.tensor(wanted)).state_dict()
    layer = "bert.encoder.layer.2"
    for name in ("bert.embeddings.word_embeddings.weight", f"{layer}.intermediate.dense.weight"):
        assert torch.equal(after[name], before[name][:, wanted])
    for name in (f"{layer}.output.dense.weight", f"{layer}.attention.output.LayerNorm.bias"):
        assert torch.equal(after[name], before[name][wanted])
    pooler = "bert.pooler.dense.weight"
    assert torch.equal(after[pooler], before[pooler][wanted][:, wanted])
    assert torch.equal(after["classifier.weight"], before["classifier.weight"][:, wanted])


@pytest.mark.parametrize("name", CONFIGS)
def test_importance_is_the_mean_square_behind_the_norms(name: str) -> None:
    network = tiny_network(name)
    sizes: list[Tensor] = []

    def measure(norm: nn.LayerNorm, inputs: Any, output: Tensor) -> None:
        rows = torch.randn(20000, norm.normalized_shape[0])
        size = nn.functional.layer_norm(rows, norm.normalized_shape, norm.weight, norm.bias)
        sizes.append(size.square().mean(0))

    for module in network.modules():
        if isinstance(module, nn.LayerNorm) and module.normalized_shape == (HIDDEN,):
            module.register_forward_hook(measure)
    logits_of(network)
    assert len(sizes) == (6 if name == "electra" else 7)  # its embeddings have another size
    expected = torch.stack([size / size.norm() for size in sizes]).sum(0)
    torch.testing.assert_close(hidden_importance(network), expected, rtol=0.05, atol=0)


def test_the_most_important_in_their_order() -> None:
    assert most_important(torch.tensor([1.0, 5.0, 5.0, 0.0, 9.0]), 2).tolist() == [1, 4]


def test_channels_are_chosen_by_the_products_that_they_take_part_in() -> None:
    network = tiny_network("bert", num_hidden_layers=1, num_attention_heads=2)  # 8 channels each
    attention = network.bert.encoder.layer[0].attention
    kept_scores, kept_values = [0, 3, 4, 6, 9, 10, 13, 15], [1, 2, 5, 7, 8, 11, 12, 14]
    with torch.no_grad():
        attention.self.key.weight.mul_(1e-3)
        attention.self.key.weight[kept_scores] *= 1e6
        attention.output.dense.weight.mul_(1e-3)
        attention.output.dense.weight[:, kept_values] *= 1e6
    config = plain_config(network, hidden_size=8)
    cut = cut_hidden_size(network, config, torch.arange(8)).bert.encoder.layer[0].attention
    query, key = attention.self.query, attention.self.key
    torch.testing.assert_close(cut.self.query.bias, query.bias[kept_scores] * 0.5**0.5)
    assert torch.equal(cut.self.key.bias, key.bias[kept_scores])
    assert torch.equal(cut.self.value.bias, attention.self.value.bias[kept_values])


def test_half_precision_stays() -> None:
    network = tiny_network("bert").to(torch.bfloat16)
    config = plain_config(network, hidden_size=8)
    cut = cut_hidden_size(network, config, torch.arange(8))
    assert {parameter.dtype for parameter in cut.parameters()} == {torch.bfloat16}
