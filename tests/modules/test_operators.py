import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AlbertConfig, AutoModelForSequenceClassification

from lightning_app.errors import InputError
from lightning_app.task import Task
from modules import TextClassifier
from modules.acceleration import accelerate
from modules.architecture import ArchitectureRecord
from modules.families import layer_parts, layout_of
from modules.gates import gates_closed
from modules.norm_constants import norm_constants
from modules.operators import (
    AffineNorm,
    AnnealedActivation,
    NormConstants,
    Operators,
    apply_operators,
)
from modules.structure import remove_heads_and_neurons
from tests.modules.test_families import CONFIGS, IDS, MASK, SMALL, logits_of, tiny_network

families = pytest.mark.parametrize("name", CONFIGS)
BATCH = {"input_ids": IDS, "attention_mask": MASK}


def random_constants(network: Any) -> Any:
    """Constants near those of a LayerNorm, other ones for each norm and feature."""
    generator = torch.Generator().manual_seed(1)

    def norm(like: Tensor) -> NormConstants:
        gain, offset = torch.rand(2, len(like), generator=generator)
        return NormConstants(tuple((0.5 + gain).tolist()), tuple((offset - 0.5).tolist()))

    return tuple(
        (norm(first.weight), norm(second.weight))
        for first, second in (parts.norms for parts in layer_parts(network))
    )


def affine_of(norm: nn.LayerNorm, constants: NormConstants, hidden: Tensor) -> Tensor:
    gain, offset = torch.tensor(constants.gain), torch.tensor(constants.offset)
    return norm.weight * (gain * hidden + offset) + norm.bias


def mixed_by_hooks(network: Any, share: float, constants: Any) -> Any:
    """An independent reference: what old operators give, mixed by hooks with the new ones."""
    for parts, layer in zip(layer_parts(network), constants, strict=True):
        parts.activation.register_forward_hook(
            lambda _, args, out: (1 - share) * out + share * args[0].clamp(min=0)
        )
        for norm, c in zip(parts.norms, layer, strict=True):
            norm.register_forward_hook(
                lambda m, args, out, c=c: (1 - share) * out + share * affine_of(m, c, args[0])
            )
    return network


def test_mix_of_activations_by_hand() -> None:
    mixed = AnnealedActivation(nn.GELU(), nn.ReLU())
    hidden = torch.tensor([[-1.0, 0.0, 2.0]])
    gelu = [-0.15865525, 0.0, 1.95449974]  # x times the normal distribution up to x
    for share, expected in (
        (0.0, gelu),
        (0.25, [0.75 * gelu[0], 0.0, 0.75 * gelu[2] + 0.25 * 2]),
        (1.0, [0.0, 0.0, 2.0]),
    ):
        mixed.share = share
        torch.testing.assert_close(mixed(hidden), torch.tensor([expected]))
    assert torch.equal(mixed(hidden), F.relu(hidden))


def test_mix_of_norms_by_hand() -> None:
    norm = nn.LayerNorm(2, eps=0)
    norm.load_state_dict({"weight": torch.tensor([2.0, 3.0]), "bias": torch.tensor([0.5, -0.5])})
    mixed = AffineNorm(norm)
    mixed.set_constants(NormConstants((0.5, 2.0), (1.0, -1.0)))
    hidden = torch.tensor([[1.0, 3.0]])  # mean 2, deviation 1: normal is [-1, 1]
    for share, expected in ((0.0, [-1.5, 2.5]), (0.25, [-0.25, 5.5]), (1.0, [3.5, 14.5])):
        mixed.share = share
        torch.testing.assert_close(mixed(hidden), torch.tensor([expected]))


@families
@pytest.mark.parametrize("fast", [False, True])
def test_share_of_zero_changes_nothing(name: str, fast: bool) -> None:
    network = tiny_network(name)
    if fast:
        accelerate(network)
    expected, names = logits_of(network), list(network.state_dict())
    parameters = [id(parameter) for parameter in network.parameters()]
    constants = random_constants(network)
    apply_operators(network, Operators(relu=0.0, affine_norm=0.0, constants=constants))
    if fast:
        assert accelerate(network) is not None
    assert torch.equal(logits_of(network), expected)
    assert list(network.state_dict()) == names
    assert [id(parameter) for parameter in network.parameters()] == parameters
    kinds = {(type(p.activation), *map(type, p.norms)) for p in layer_parts(network)}
    assert kinds == {(AnnealedActivation, AffineNorm, AffineNorm)}


@families
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_in_all_families_operators_are_mixed(name: str, share: float) -> None:
    network = tiny_network(name)
    constants = random_constants(network)
    expected = logits_of(mixed_by_hooks(tiny_network(name), share, constants))
    assert (expected - logits_of(network)).abs().max() > 1e-2
    apply_operators(network, Operators(relu=share, affine_norm=share, constants=constants))
    torch.testing.assert_close(logits_of(network), expected, rtol=1e-5, atol=1e-5)
    accelerate(network)
    torch.testing.assert_close(logits_of(network), expected, rtol=1e-4, atol=1e-4)


@families
def test_whole_relu_is_plain_transformers(name: str, tmp_path: Path) -> None:
    network = tiny_network(name)
    apply_operators(network, Operators(relu=0.5))
    apply_operators(network, Operators(relu=1.0))
    key = layout_of(network).activation_key
    reference = tiny_network(name, **{key: "relu"})
    reference.load_state_dict(network.state_dict())
    assert torch.equal(logits_of(network), logits_of(reference))
    network.save_pretrained(tmp_path)
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert getattr(opened.config, key) == "relu"
    assert torch.equal(logits_of(opened), logits_of(network))


@families
def test_record_rebuilds_each_state(name: str) -> None:
    network = tiny_network(name)
    record = ArchitectureRecord.of_config("base", network.config)
    constants = random_constants(network)
    for operators, version in (
        (Operators(relu=0.0), 3),
        (Operators(relu=0.3), 3),
        (Operators(relu=0.3, affine_norm=0.0), 3),
        (Operators(relu=0.6, affine_norm=0.25, constants=constants), 3),
        (Operators(relu=1.0, affine_norm=1.0, constants=constants), 3),
    ):
        apply_operators(network, operators)
        record = record.with_operators(operators)
        plain = record.as_plain()
        assert (plain["version"], record.layout) == (version, "free")
        read = ArchitectureRecord.from_plain(plain)
        assert read == record
        built: Any = read.build()
        built.load_state_dict(network.state_dict())
        assert torch.equal(logits_of(built), logits_of(network))
    assert record.operators == Operators(affine_norm=1.0, constants=constants)
    assert record.config[layout_of(network).activation_key] == "relu"


def test_record_of_whole_relu_is_one_that_older_versions_read() -> None:
    record = ArchitectureRecord.of_config("base", tiny_network("distilbert").config)
    begun = record.with_operators(Operators(relu=0.5))
    assert begun.config == record.config
    assert begun.as_plain()["operators"] == {"relu": 0.5, "affine_norm": None}
    done = begun.with_operators(Operators(relu=1.0))
    assert (done.layout, done.operators, done.as_plain()["version"]) == ("hf_uniform", None, 1)
    assert done.config == {**record.config, "activation": "relu"}


def test_record_is_plain_values(tmp_path: Path) -> None:
    network = tiny_network("bert")
    operators = Operators(affine_norm=0.5, constants=random_constants(network))
    record = ArchitectureRecord.of_config("base", network.config).with_operators(operators)
    torch.save(record.as_plain(), tmp_path / "record.pt")
    plain = torch.load(tmp_path / "record.pt", weights_only=True)
    assert len(plain["operators"]["constants"]) == 3
    assert {len(norm["gain"]) for layer in plain["operators"]["constants"] for norm in layer} == {
        16
    }
    assert ArchitectureRecord.from_plain(plain) == record


def tokens_at_norms(network: Any, batches: list[dict[str, Tensor]]) -> list[list[Tensor]]:
    """For each layer what goes into its two norms, ``[tokens, hidden]``, without padding."""
    seen: dict[nn.Module, list[Tensor]] = {n: [] for p in layer_parts(network) for n in p.norms}
    handles = [
        norm.register_forward_pre_hook(lambda m, args: seen[m].append(args[0].detach()))
        for norm in seen
    ]
    for batch in batches:
        network.eval()(**batch)
    for handle in handles:
        handle.remove()
    masks = [batch["attention_mask"].bool() for batch in batches]
    return [
        [
            torch.cat([h[m[:, : h.shape[1]]] for h, m in zip(seen[norm], masks, strict=True)])
            for norm in parts.norms
        ]
        for parts in layer_parts(network)
    ]


@families
@pytest.mark.parametrize("fast", [False, True])
def test_constants_are_least_squares_lines(name: str, fast: bool) -> None:
    """Against `numpy.polyfit`, over all tokens of two batches but padding."""
    network = tiny_network(name)
    if fast:
        accelerate(network)
    batches = [BATCH, {"input_ids": IDS.flip(1), "attention_mask": MASK}]
    tokens = tokens_at_norms(network, batches)
    assert [len(x) for layer in tokens for x in layer] == [48] * 4 + [6 if fast else 48] * 2
    measured = norm_constants(network.train(), batches)
    assert network.training
    for layer, constants_of_layer in zip(tokens, measured, strict=True):
        for hidden, constants in zip(layer, constants_of_layer, strict=True):
            x = hidden.double()
            z = F.layer_norm(x, x.shape[-1:], eps=1e-12)
            lines = [np.polyfit(x[:, j], z[:, j], 1) for j in range(x.shape[1])]
            np.testing.assert_allclose(constants.gain, [line[0] for line in lines], rtol=1e-5)
            np.testing.assert_allclose(constants.offset, [line[1] for line in lines], atol=1e-5)


def test_a_feature_that_never_changes_has_no_slope() -> None:
    network = tiny_network("bert")
    for part in (layer_parts(network)[0].attention_output, network.bert.embeddings.LayerNorm):
        part.weight.data[3] = 0
    first = norm_constants(network, [BATCH])[0][0]
    assert first.gain[3] == pytest.approx(0, abs=1e-3)
    assert np.isfinite([first.gain, first.offset]).all()


@families
def test_measured_affines_come_near_the_norms(name: str) -> None:
    """Each norm by itself, on the tokens that it was measured on: off by 0.17 of its output's own
    deviation on average, 0.42 at most; one mean and deviation for all tokens are further off."""
    network = tiny_network(name)
    tokens = tokens_at_norms(network, [BATCH])
    lines, scalars = [], []
    for parts, layer, measured in zip(
        layer_parts(network), tokens, norm_constants(network, [BATCH]), strict=True
    ):
        for norm, hidden, constants in zip(parts.norms, layer, measured, strict=True):
            target = norm(hidden)
            deviation = (target - target.mean(0)).norm()
            lines.append((affine_of(norm, constants, hidden) - target).norm() / deviation)
            scale = 1 / hidden.std(-1, correction=0).mean()
            scalar = norm.weight * scale * (hidden - hidden.mean()) + norm.bias
            scalars.append((scalar - target).norm() / deviation)
    assert all(line < scalar for line, scalar in zip(lines, scalars, strict=True))
    assert max(lines) < 0.45
    assert sum(lines) / len(lines) < 0.25


def test_constants_move_and_are_copied_with_the_weights() -> None:
    network = tiny_network("bert")
    buffers = [name for name, _ in network.named_buffers()]
    operators = Operators(affine_norm=1.0, constants=random_constants(network))
    apply_operators(network, operators)
    assert [name for name, _ in network.named_buffers()] == buffers
    expected = logits_of(network)
    twin = copy.deepcopy(network)
    assert torch.equal(logits_of(twin), expected)
    torch.testing.assert_close(logits_of(twin.double()), expected.double(), rtol=1e-4, atol=1e-5)
    norm = layer_parts(twin)[0].norms[0]
    assert norm(torch.zeros(16, dtype=torch.float64)).dtype == torch.float64
    assert {tensor.device.type for tensor in twin.to("meta").state_dict().values()} == {"meta"}
    assert norm(torch.zeros(2, 16, device="meta", dtype=torch.float64)).device.type == "meta"


@families
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_under_bf16_autocast_all_parameters_learn(name: str, share: float) -> None:
    network = tiny_network(name).train()
    operators = Operators(relu=share, affine_norm=share, constants=random_constants(network))
    apply_operators(network, operators)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(**BATCH).logits
    logits.float().square().sum().backward()
    for parts in layer_parts(network):
        for norm in parts.norms:
            assert torch.count_nonzero(norm.weight.grad) == 16
            assert torch.count_nonzero(norm.bias.grad) == 16


@pytest.mark.parametrize("name", ["bert", "distilbert"])
def test_exports_as_plain_tensor_operations(name: str) -> None:
    network = tiny_network(name).eval()
    operators = Operators(relu=0.25, affine_norm=0.25, constants=random_constants(network))
    for share in (0.25, 1.0):
        apply_operators(network, Operators(share, share, operators.constants))
        program = torch.export.export(network, (), BATCH)
        torch.testing.assert_close(program.module()(**BATCH).logits, logits_of(network))
    operations = [str(n.target) for n in program.graph.nodes if n.op == "call_function"]
    assert operations.count("aten.gelu.default") == 0
    assert operations.count("aten.relu.default") >= 3
    assert operations.count("aten.layer_norm.default") == 1  # the embeddings'


@families
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_structure_can_be_removed_afterwards(name: str, share: float) -> None:
    network = tiny_network(name)
    operators = Operators(relu=share, affine_norm=share, constants=random_constants(network))
    apply_operators(network, operators)
    heads, neurons = [[2, 0], [], [3]], [[1, 23, 5], [], list(range(3, 20))]
    with gates_closed(network, heads, neurons):
        expected = logits_of(network)
    remove_heads_and_neurons(network, heads, neurons)
    torch.testing.assert_close(logits_of(network), expected, rtol=0, atol=1e-5)


def test_layers_that_stay_keep_their_constants(tiny_model: str) -> None:
    model = TextClassifier(tiny_model)
    task = Task(
        name="reviews",
        text_columns=("text",),
        label_names=("no", "yes"),
        problem_type="single_label_classification",
        metrics=("accuracy",),
        score_metrics=("accuracy",),
    )
    model.build(task)
    constants = random_constants(model.network)
    model.set_operators(Operators(affine_norm=0.5, constants=constants))
    model.keep_layers([1])
    assert model.architecture is not None
    assert model.architecture.operators == Operators(affine_norm=0.5, constants=constants[1:])
    built: Any = model.architecture.build()
    assert model.network is not None
    built.load_state_dict(model.network.state_dict())
    torch.testing.assert_close(logits_of(built), logits_of(model.network))


@families
def test_the_last_layer_goes_on_with_its_first_token_alone(name: str, tiny_model: str) -> None:
    model = TextClassifier(tiny_model)
    network = model.network = tiny_network(name)
    model._first_token_only = accelerate(network)
    model.architecture = ArchitectureRecord.of_config("base", network.config)
    for operators in (Operators(relu=0.0, affine_norm=0.0), Operators(relu=0.5, affine_norm=0.5)):
        model.set_operators(operators)
        assert network.base_model(**BATCH).last_hidden_state.shape == (3, 1, 16)
    model.objective.add("states", lambda *_: torch.zeros(()), output_hidden_states=True)
    model.measure_norms([BATCH])
    assert network.base_model(**BATCH).last_hidden_state.shape == (3, 9, 16)


def test_families_that_cannot_be_changed_are_refused() -> None:
    albert: Any = AutoModelForSequenceClassification.from_config(
        AlbertConfig(**SMALL, embedding_size=8)
    )
    with pytest.raises(InputError, match=r"layers can be changed \(bert, .*mpnet\), got 'albert'"):
        apply_operators(albert, Operators(relu=0.0))
