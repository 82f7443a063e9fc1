"""Fake quantization of a whole network; of single tensors: functional/test_quantization.py."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchao.quantization import Int8DynamicActivationIntxWeightConfig, PerAxis, quantize_
from torchao.quantization.qat import IntxFakeQuantizeConfig, QATConfig
from transformers import AutoModelForSequenceClassification

from lightning_app.functional.quantization import (
    dequantize_weight,
    fake_quantize_weight,
    outermost,
)
from modules.acceleration import accelerate
from modules.architecture import ArchitectureRecord
from modules.fake_quantization import (
    FakeQuantizedEmbedding,
    FakeQuantizedLinear,
    activation_parameters,
    apply_quantization,
    fake_quantized_modules,
    quantization_of,
    quantized_weight,
    without_fake_quantization,
)
from modules.quantization import ModuleQuantization, Quantization
from modules.structure import keep_layers, remove_heads_and_neurons

DYNAMIC = ModuleQuantization("dynamic")
ROWS = ModuleQuantization("weight_only")
INPUTS = {
    "input_ids": torch.arange(5, 35).view(3, 10),
    "attention_mask": torch.ones(3, 10, dtype=torch.long),
}


@pytest.fixture
def network(tiny_model: str) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(tiny_model).eval()


@torch.no_grad()
def logits(network: Any) -> Tensor:
    return network(**INPUTS).logits  # type: ignore[no-any-return]


@torch.no_grad()
def with_largest_positive(network: nn.Module, group_size: int | None = None) -> None:
    """Where the largest weight of a row is negative torchao is a step from ours, or not."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            weight = module.weight
            size = weight.shape[1]
            if group_size is not None and isinstance(module, nn.Linear):
                size = group_size
            groups = weight.view(len(weight), -1, size)
            largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
            groups.mul_(torch.where(largest < 0, -1.0, 1.0))


def everything(network: nn.Module, linear: ModuleQuantization = DYNAMIC) -> Quantization:
    kinds = {nn.Linear: linear, nn.Embedding: ROWS}
    found = {n: kinds[type(m)] for n, m in network.named_modules() if type(m) in kinds}
    return Quantization(found)


def test_names_modules_parameters_and_hooks_stay(network: Any) -> None:
    before = dict(network.named_modules())
    names, plain = list(network.state_dict()), logits(network)
    calls: list[nn.Module] = []
    linear = network.get_submodule("bert.encoder.layer.0.intermediate.dense")
    linear.register_forward_hook(lambda module, *_: calls.append(module))
    quantization = everything(network)
    apply_quantization(network, quantization)
    assert list(network.state_dict()) == names
    assert all(network.get_submodule(name) is module for name, module in before.items())
    assert quantization_of(network) == quantization
    assert not torch.equal(logits(network), plain)
    assert calls == [linear]
    assert "dynamic, 8 bits" in repr(linear)
    apply_quantization(network, None)
    assert torch.equal(logits(network), plain)
    assert quantization_of(network) is None
    assert {type(m) for m in before.values()} & {
        FakeQuantizedLinear,
        FakeQuantizedEmbedding,
    } == set()


def test_a_network_computes_what_torchaos_does_and_converts_to_it(network: Any) -> None:
    with_largest_positive(network)
    torchaos = copy.deepcopy(network)
    base = Int8DynamicActivationIntxWeightConfig(
        weight_dtype=torch.int8, weight_granularity=PerAxis(0)
    )
    quantize_(torchaos, QATConfig(base, step="prepare"))
    linears = {n: DYNAMIC for n, m in network.named_modules() if type(m) is nn.Linear}
    apply_quantization(network, Quantization(linears))
    assert torch.equal(logits(network), logits(torchaos))
    plain = copy.deepcopy(network)
    apply_quantization(plain, None)
    quantize_(plain, base)  # integers in place of weights
    torch.testing.assert_close(logits(plain), logits(network), rtol=1e-4, atol=1e-5)


def test_groups_of_4_bits_and_embeddings_are_torchaos(network: Any) -> None:
    with_largest_positive(network, group_size=16)
    torchaos = copy.deepcopy(network)
    groups = IntxFakeQuantizeConfig(torch.int4, group_size=16)
    rows = IntxFakeQuantizeConfig(torch.int8, "per_channel")
    quantize_(torchaos, QATConfig(weight_config=groups, step="prepare"))
    quantize_(
        torchaos,
        QATConfig(weight_config=rows, step="prepare"),
        filter_fn=lambda m, _: isinstance(m, nn.Embedding),
    )
    quantization = everything(network, ModuleQuantization("weight_only", 4, 16))
    apply_quantization(network, quantization)
    assert torch.equal(logits(network), logits(torchaos))


def test_looked_up_rows_are_those_of_the_quantized_table() -> None:
    table = nn.Embedding(20, 8, padding_idx=0)
    ids = torch.tensor([[0, 3, 3], [19, 1, 0]])
    expected = fake_quantize_weight(table.weight)[ids].detach()
    network = nn.ModuleDict({"table": table})
    apply_quantization(network, Quantization({"table": ROWS}))
    found = table(ids)
    assert torch.equal(found, expected)
    found.square().sum().backward()
    assert table.weight.grad is not None
    assert torch.count_nonzero(table.weight.grad.sum(1)) == 3  # padding gets none


def test_a_copy_is_quantized_by_itself(network: Any) -> None:
    apply_quantization(network, everything(network))
    copied = copy.deepcopy(network)
    expected = logits(network)
    apply_quantization(network, None)
    assert torch.equal(logits(copied), expected)


def test_within_the_context_nothing_is_rounded(network: Any) -> None:
    plain = logits(network)
    apply_quantization(network, everything(network))
    rounded = logits(network)
    with without_fake_quantization(network):
        assert torch.equal(logits(network), plain)
    assert torch.equal(logits(network), rounded)


@pytest.mark.parametrize(("bits", "group_size"), [(8, None), (7, None), (4, 8), (4, 20)])
def test_the_integers_are_what_the_module_multiplies_with(
    bits: int, group_size: int | None
) -> None:
    linear = nn.Linear(32, 24)
    how = ModuleQuantization("weight_only", bits, group_size)
    apply_quantization(nn.ModuleDict({"a": linear}), Quantization({"a": how}))
    assert isinstance(linear, FakeQuantizedLinear)
    integers, scales = quantized_weight(linear)
    assert int(integers.abs().max()) <= 2 ** (bits - 1)
    weight = dequantize_weight(integers, scales, group_size)
    inputs = torch.randn(5, 32)
    assert torch.equal(linear(inputs), nn.functional.linear(inputs, weight, linear.bias))


def test_a_static_scheme_is_rounded_as_integers_with_its_parameters_are() -> None:
    linear = nn.Linear(6, 4)
    how = ModuleQuantization("static", activation_range=(-1.0, 1.55))
    apply_quantization(nn.ModuleDict({"a": linear}), Quantization({"a": how}))
    assert isinstance(linear, FakeQuantizedLinear)
    parameters = activation_parameters(how)
    assert parameters == (pytest.approx(0.01), -28)
    scale, zero_point = parameters
    inputs = torch.randn(50, 6)
    integers = torch.clamp((inputs / scale).round() + zero_point, -128, 127)
    assert int((integers == 127).sum()) > 10  # some are clipped
    weight, scales = quantized_weight(linear)
    product = (integers - zero_point) @ weight.float().T * scale * scales.T + linear.bias
    torch.testing.assert_close(linear(inputs), product)


def test_a_static_scheme_without_a_range_leaves_activations_alone() -> None:
    linear = nn.Linear(6, 4)
    how = ModuleQuantization("static")
    apply_quantization(nn.ModuleDict({"a": linear}), Quantization({"a": how}))
    inputs = torch.randn(5, 6)
    weight = fake_quantize_weight(linear.weight)
    assert torch.equal(linear(inputs), nn.functional.linear(inputs, weight, linear.bias))


def test_observers_watch_training_alone() -> None:
    linear = nn.Linear(2, 2)
    how = ModuleQuantization("static")
    apply_quantization(nn.ModuleDict({"a": linear}), Quantization({"a": how}))
    assert isinstance(linear, FakeQuantizedLinear)
    linear.observer = lambda values: outermost(values, 2)
    linear.eval()(torch.tensor([[-9.0, 9.0]]))
    assert linear.observed is None
    linear.train()
    for value in (1.0, -2.0, 3.0):
        linear(torch.tensor([[0.5, value]]))
    assert linear.observed is not None
    assert linear.observed.tolist() == [[-2.0, 0.5], [3.0, 0.5]]


def test_a_record_rebuilds_it_and_plain_transformers_opens_the_weights(
    network: Any, tiny_model: str, tmp_path: Path
) -> None:
    plain = logits(network)
    how = ModuleQuantization("static", 7, 16, (-0.5, 2.0))
    quantization = everything(network, how)
    apply_quantization(network, quantization)
    record = ArchitectureRecord.of_config(tiny_model, network.config)
    record = record.with_quantization(quantization)
    torch.save(record.as_plain(), tmp_path / "record.pt")
    values = torch.load(tmp_path / "record.pt", weights_only=True)
    assert values["version"] == 4
    name = "bert.encoder.layer.1.output.dense"
    assert values["quantization"]["modules"][name] == {
        "scheme": "static",
        "weight_bits": 7,
        "group_size": 16,
        "activation_range": [-0.5, 2.0],
    }
    read = ArchitectureRecord.from_plain(values)
    assert read == record
    assert read.layout == "hf_uniform"
    built: Any = read.build().eval()
    built.load_state_dict(network.state_dict())
    assert torch.equal(logits(built), logits(network))
    network.save_pretrained(tmp_path)
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(logits(opened), plain)


def test_heads_and_neurons_can_be_removed_from_it(network: Any) -> None:
    quantization = everything(network)
    closed = copy.deepcopy(network)
    apply_quantization(network, quantization)
    for kept in (network, closed):
        remove_heads_and_neurons(kept, [[0], []], [[1, 5], [2]])
    assert quantization_of(network) == quantization
    apply_quantization(closed, quantization)
    assert torch.equal(logits(network), logits(closed))


def test_layers_that_stay_keep_theirs_under_their_new_names(network: Any) -> None:
    name = "bert.encoder.layer.1.output.dense"
    apply_quantization(network, Quantization({name: DYNAMIC}))
    keep_layers(network, [1])
    assert quantization_of(network) == Quantization({name.replace("1", "0"): DYNAMIC})
    assert list(fake_quantized_modules(network)) == ["bert.encoder.layer.0.output.dense"]


def test_the_first_token_shortcut_is_checked_without_rounding(network: Any) -> None:
    linear = network.get_submodule("bert.encoder.layer.1.output.dense")
    apply_quantization(network, everything(network))
    kinds: list[type] = []
    linear.register_forward_hook(lambda module, *_: kinds.append(type(module)))
    assert accelerate(network) is not None
    assert set(kinds) == {nn.Linear}
    logits(network)
    assert kinds[-1] is FakeQuantizedLinear
