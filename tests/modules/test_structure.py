import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForSequenceClassification

from lightning_app.errors import InputError
from modules import TextClassifier
from modules.acceleration import accelerate
from modules.architecture import ArchitectureRecord, LayerShape
from modules.families import layer_parts
from modules.gates import gates_closed
from modules.structure import (
    encoder_flops,
    encoder_parameters,
    keep_layers,
    layer_shapes,
    remove_heads_and_neurons,
)
from tests.modules.test_families import CONFIGS, IDS, MASK, logits_of, tiny_network
from tests.tiny_fit import fit, quiet_trainer, reviews_data

# Other heads and other widths in each layer; nothing in one of them.
HEADS = [[2, 0], [], [3]]
NEURONS = [[1, 23, 5], [], list(range(3, 20))]
LEFT = (
    LayerShape((1, 3), 21),
    LayerShape((0, 1, 2, 3), 24),
    LayerShape((0, 1, 2), 7),
)


def record_of(network: Any) -> ArchitectureRecord:
    return ArchitectureRecord.of_config("base", network.config)


def rebuilt(record: ArchitectureRecord, network: Any) -> Any:
    """What a checkpoint of `network` gives: structure from plain values, then weights."""
    built = ArchitectureRecord.from_plain(record.as_plain()).build()
    built.load_state_dict(network.state_dict())
    return built


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("fast", [False, True])
def test_removed_is_gated(name: str, fast: bool) -> None:
    network = tiny_network(name)
    if fast:
        assert accelerate(network) is not None
    names, dense = list(network.state_dict()), logits_of(network)
    with gates_closed(network, HEADS, NEURONS):
        expected = logits_of(network)
    remove_heads_and_neurons(network, HEADS, NEURONS)
    assert (expected - dense).abs().max() > 1e-3
    torch.testing.assert_close(logits_of(network), expected, rtol=0, atol=1e-5)
    assert layer_shapes(network) == LEFT
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("name", CONFIGS)
def test_removed_again_is_removed_at_once(name: str) -> None:
    network, at_once = tiny_network(name), tiny_network(name)
    remove_heads_and_neurons(network, [[0], [], []], [[5], [], []])
    remove_heads_and_neurons(network, [[1], [], [3]], [[1, 22], [], list(range(3, 20))])
    remove_heads_and_neurons(at_once, HEADS, NEURONS)
    assert layer_shapes(network) == LEFT
    assert torch.equal(logits_of(network), logits_of(at_once))


@pytest.mark.parametrize("name", CONFIGS)
def test_record_rebuilds_the_structure(name: str) -> None:
    network = tiny_network(name)
    record = record_of(network)
    remove_heads_and_neurons(network, HEADS, NEURONS)
    keep_layers(network, [0, 2])
    record = record.with_shapes(layer_shapes(network))
    assert record.layout == "free"
    assert record.layers == (LEFT[0], LEFT[2])
    built = rebuilt(record, network)
    assert torch.equal(logits_of(built), logits_of(network))
    assert layer_shapes(built) == layer_shapes(network)
    assert record_of(network).config == record.config == record_of(built).config


@pytest.mark.parametrize("name", CONFIGS)
def test_uniform_structure_opens_in_plain_transformers(name: str, tmp_path: Path) -> None:
    network = tiny_network(name)
    record = record_of(network)
    accelerate(network)
    remove_heads_and_neurons(network, [[]] * 3, [[0, 7], [1, 2], [22, 23]])
    keep_layers(network, [0, 1])
    record = record.with_shapes(layer_shapes(network))
    assert (record.layout, record.layers) == ("hf_uniform", None)
    network.save_pretrained(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert len(layer_parts(plain)) == 2
    assert layer_parts(plain)[0].intermediate_size == 22
    assert AutoConfig.from_pretrained(tmp_path).num_hidden_layers == 2
    # The shortcut sits on a layer that is gone; attention is transformers' own.
    torch.testing.assert_close(logits_of(plain), logits_of(network), rtol=0, atol=1e-6)
    torch.testing.assert_close(logits_of(rebuilt(record, network)), logits_of(plain))


@pytest.mark.parametrize("name", CONFIGS)
def test_kept_layers_are_those_of_a_smaller_network(name: str) -> None:
    network = tiny_network(name)
    small = tiny_network(name, num_hidden_layers=2)
    weights = small.state_dict()
    prefix = next(key for key in weights if ".layer.0." in key).partition(".layer.")[0]
    for key, value in network.state_dict().items():
        for old, new in ((0, 0), (2, 1)):
            renamed = key.replace(f"{prefix}.layer.{old}.", f"{prefix}.layer.{new}.")
            if f"{prefix}.layer.{old}." in key or f"{prefix}.layer." not in key:
                weights[renamed] = value
    small.load_state_dict(weights)
    keep_layers(network, [0, 2])
    assert torch.equal(logits_of(network), logits_of(small))
    assert network.config.to_dict() == small.config.to_dict()
    states = network(IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    assert len(states) == 3


@pytest.mark.parametrize("name", CONFIGS)
def test_all_that_is_left_learns(name: str) -> None:
    network = tiny_network(name).train()
    accelerate(network)
    remove_heads_and_neurons(network, HEADS, NEURONS)
    assert all(module.training for module in network.modules())
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    if name == "bert":
        inputs["token_type_ids"] = MASK
    network(**inputs, labels=torch.tensor([0, 1, 0])).loss.backward()
    for key, parameter in network.named_parameters():
        assert parameter.is_leaf, key
        assert parameter.grad is not None, key
        assert parameter.grad.shape == parameter.shape
        assert parameter.grad.isfinite().all()
        if "key.bias" not in key and not key.endswith(("k.bias", "k_lin.bias")):
            assert parameter.grad.abs().max() > 0, key  # softmax does not see the keys' bias


def test_dtype_freezing_gradients_and_modes_stay() -> None:
    network = tiny_network("bert").to(torch.bfloat16).train()
    first, last = layer_parts(network)[0], layer_parts(network)[2]
    first.layer.requires_grad_(False)
    first.query.weight.requires_grad_(True)
    last.layer.eval()
    last.layer.output.dropout.train()
    last.intermediate.weight.grad = torch.arange(24.0).bfloat16()[:, None].expand(24, 16).clone()
    modes = [module.training for module in network.modules()]
    flags = {name: p.requires_grad for name, p in network.named_parameters()}
    with torch.no_grad():
        remove_heads_and_neurons(network, HEADS, NEURONS)
    assert [module.training for module in network.modules()] == modes
    assert {name: p.requires_grad for name, p in network.named_parameters()} == flags
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    assert last.intermediate.weight.grad is not None
    assert last.intermediate.weight.grad[:, 0].tolist() == [0, 1, 2, 20, 21, 22, 23]
    assert network.config._attn_implementation == "sdpa"


def test_hooks_and_copies_survive() -> None:
    network = tiny_network("mpnet")
    remove_heads_and_neurons(network, HEADS, NEURONS)
    twin = copy.deepcopy(network)
    remove_heads_and_neurons(network, [[0], [0], [0]], [[]] * 3)
    assert layer_shapes(twin) == LEFT
    assert [shape.heads for shape in layer_shapes(network)] == [(3,), (1, 2, 3), (1, 2)]


@pytest.mark.parametrize(
    ("heads", "neurons", "message"),
    [
        ([[0, 1, 2, 3], [], []], [[]] * 3, r"`heads` .* one of the 4 heads of layer 0, got all"),
        (
            [[]] * 3,
            [[], [], list(range(24))],
            r"at least one of the 24 neurons of layer 2, got all",
        ),
        ([[], [4], []], [[]] * 3, r"`heads` of layer 1 .* positions in \[0, 4\), got \[4\]"),
        ([[]] * 3, [[-1], [], []], r"`neurons` of layer 0 .* in \[0, 24\), got \[-1\]"),
        ([[], [1, 1], []], [[]] * 3, r"to be different positions in .* got \[1, 1\]"),
        ([[]], [[]] * 3, r"`heads` to have one list for each of the 3 layers, got 1"),
    ],
)
def test_refuses_what_is_not_there_and_changes_nothing(
    heads: list[list[int]], neurons: list[list[int]], message: str
) -> None:
    network = tiny_network("bert")
    with pytest.raises(InputError, match=message):
        remove_heads_and_neurons(network, heads, neurons)
    assert layer_shapes(network) == (LayerShape((0, 1, 2, 3), 24),) * 3


@pytest.mark.parametrize("layers", [[], [1, 0], [0, 0], [0, 3], [-1]])
def test_refuses_layers_that_are_not_there(layers: list[int]) -> None:
    network = tiny_network("bert")
    with pytest.raises(InputError, match=r"`layers` to be one or more positions in \[0, 3\)"):
        keep_layers(network, layers)
    assert len(layer_parts(network)) == 3


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seq_length", [1, 9])
def test_counts_are_those_of_the_layers(name: str, seq_length: int) -> None:
    network = tiny_network(name).eval()
    network.config._attn_implementation = "eager"
    remove_heads_and_neurons(network, HEADS, NEURONS)
    shapes = layer_shapes(network)
    layers = [parts.layer for parts in layer_parts(network)]
    count = sum(p.numel() for layer in layers for p in layer.parameters())
    assert encoder_parameters(shapes, hidden_size=16, head_size=4) == count
    hidden = torch.zeros(1, seq_length, 16)
    with FlopCounterMode(display=False) as counter:
        for layer in layers:
            layer(hidden)
    flops = encoder_flops(shapes, hidden_size=16, head_size=4, seq_length=seq_length)
    assert flops == counter.get_total_flops()


def test_hand_counted_layer() -> None:
    shapes = [LayerShape((0,), 3)]
    # Query, key, value 2 x 1 + 1 each, output 1 x 2 + 2, FFN 2 x 3 + 3 and 3 x 2 + 2, norms 2 x 4.
    assert encoder_parameters(shapes, hidden_size=2, head_size=1) == 9 + 4 + 9 + 8 + 8
    # Five tokens: 4 projections of 2 x 1, 5 x 5 scores and values, FFN 2 x 2 x 3.
    flops = 2 * (5 * 4 * 2 + 2 * 25 + 5 * 12)
    assert encoder_flops(shapes, hidden_size=2, head_size=1, seq_length=5) == flops


class Prune(Callback):
    """At `setup`, as a one-shot callback does it: a head in each layer, neurons, then a layer."""

    def __init__(self, neurons: list[list[int]]) -> None:
        self.neurons = neurons

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, TextClassifier)
        pl_module.configure_model()
        pl_module.prune_structure([[0], [1]], self.neurons, by="test")
        pl_module.keep_layers([1], by="test")


def test_checkpoint_of_a_pruned_model_opens_alone(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    model = TextClassifier(tiny_model, learning_rate=1e-3)
    saver = ModelCheckpoint(tmp_path, filename="pruned")
    trainer = fit(
        tiny_model, reviews, saver, Prune([[3], [4, 5]]), model=model, enable_checkpointing=True
    )
    optimized = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert optimized == {id(parameter) for parameter in model.parameters()}
    opened = TextClassifier.load_from_checkpoint(tmp_path / "pruned.ckpt")
    assert opened.architecture == model.architecture
    assert opened.architecture is not None
    assert opened.architecture.layers == (LayerShape((0,), 46),)
    assert opened.architecture.history[1:] == [
        {"operation": "prune_structure", "by": "test"},
        {"operation": "keep_layers", "layers": [1], "by": "test"},
    ]
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    with torch.no_grad():
        expected = model.eval()(**inputs).logits
        assert torch.equal(opened(**inputs).logits, expected)
        assert opened.network is not None
        assert opened.network.base_model(**inputs)[0].shape == (3, 1, 32)
    data = reviews_data(reviews, tokenizer=None)
    quiet_trainer().validate(opened, datamodule=data, verbose=False)


def test_pruned_checkpoint_replaces_a_network_of_another_structure(tiny_model: str) -> None:
    pruned, whole = TextClassifier(tiny_model), TextClassifier(tiny_model)
    for model in (pruned, whole):
        model.build(_task())
    pruned.prune_structure([[1], []], [[], [0]])
    checkpoint: dict[str, Any] = {}
    pruned.on_save_checkpoint(checkpoint)
    whole.adopt(checkpoint)
    whole.load_state_dict(pruned.state_dict())
    assert whole.network is not None
    assert layer_shapes(whole.network) == (LayerShape((0,), 48), LayerShape((0, 1), 47))
    same = whole.network
    whole.adopt(checkpoint)
    assert whole.network is same


def test_the_last_layer_kept_computes_the_first_token_only(tiny_model: str) -> None:
    model = TextClassifier(tiny_model)
    model.build(_task())
    assert model.network is not None
    model.keep_layers([0])
    kept = model.network.eval().base_model(IDS, attention_mask=MASK)[0]
    assert kept.shape == (3, 1, 32)
    assert model._first_token_only is not None
    model._first_token_only.remove()
    assert model.network.base_model(IDS, attention_mask=MASK)[0].shape == (3, 9, 32)


def _task() -> Any:
    from lightning_app.task import METRICS_BY_PROBLEM, Task

    metrics = METRICS_BY_PROBLEM["single_label_classification"]
    problem = "single_label_classification"
    return Task("own", ("text",), ("no", "yes"), problem, metrics, metrics)
