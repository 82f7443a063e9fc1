import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AlbertConfig, AutoModelForSequenceClassification

from lightning_app.errors import InputError
from modules.architecture import ArchitectureRecord, LayerShape
from modules.families import layer_parts
from modules.operators import NormConstants, Operators, apply_operators
from modules.structure import keep_layers, layer_shapes, remove_heads_and_neurons
from modules.student_network import cut_student, fresh_student
from modules.student_structure import StudentStructure
from tests.modules.test_families import CONFIGS, SMALL, logits_of, tiny_network


def record_of(network: Any) -> ArchitectureRecord:
    return ArchitectureRecord.of_config("base", network.config)


def cut(network: Any, **sizes: Any) -> tuple[Any, ArchitectureRecord]:
    return cut_student(network, record_of(network), StudentStructure(**sizes))


def rebuilt(record: ArchitectureRecord, network: Any) -> Any:
    """What a checkpoint of `network` gives: structure from plain values, then weights."""
    built = ArchitectureRecord.from_plain(record.as_plain()).build()
    built.load_state_dict(network.state_dict())
    return built


def layer_weights(network: Any, position: int) -> dict[str, Tensor]:
    return layer_parts(network)[position].layer.state_dict()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_student_of_all_sizes_is_its_teacher(name: str) -> None:
    network = tiny_network(name)
    expected, record = logits_of(network), record_of(network)
    student, after = cut(network, num_layers=3, hidden_size=16, num_heads=4, intermediate_size=24)
    assert torch.equal(logits_of(student), expected)
    assert (after.config, after.layout) == (record.config, "hf_uniform")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({"num_layers": 2}, [1, 2]),
        ({"num_layers": 1}, [2]),
        ({"num_layers": 2, "layer_map": "first"}, [0, 1]),
        ({"num_layers": 2, "layer_map": "last"}, [1, 2]),
        ({"num_layers": [0, 2]}, [0, 2]),
    ],
    ids=["even", "one", "first", "last", "list"],
)
def test_kept_layers_have_the_teachers_weights(
    name: str, options: dict[str, Any], layers: list[int]
) -> None:
    teacher = tiny_network(name)
    student, record = cut(copy.deepcopy(teacher), **options)
    assert len(layer_parts(student)) == len(layers)
    for position, layer in enumerate(layers):
        weights = layer_weights(teacher, layer)
        for key, weight in layer_weights(student, position).items():
            assert torch.equal(weight, weights[key]), key
    outside = {k: v for k, v in teacher.state_dict().items() if ".layer." not in k}
    assert all(torch.equal(student.state_dict()[k], v) for k, v in outside.items())
    assert record.since_start[-1]["layers"] == layers
    assert record.layout == "hf_uniform"
    assert torch.equal(logits_of(rebuilt(record, student)), logits_of(student))


@pytest.mark.parametrize("name", CONFIGS)
def test_heads_and_neurons_that_write_zeros_go_without_a_trace(name: str) -> None:
    network = tiny_network(name)
    with torch.no_grad():
        for number, parts in enumerate(layer_parts(network)):
            parts.output.weight[:, [number, 7, 23]] = 0
            for head in ((1, 3), (0, 1), (2, 3))[number]:
                parts.attention_output.weight[:, 4 * head : 4 * head + 4] = 0
    expected = logits_of(network)
    student, record = cut(network, num_heads=2, intermediate_size=21)
    torch.testing.assert_close(logits_of(student), expected, rtol=0, atol=1e-5)
    kept = (LayerShape((0, 2), 21), LayerShape((2, 3), 21), LayerShape((0, 1), 21))
    assert layer_shapes(student) == record.layers == kept
    assert record.layout == "free"
    assert torch.equal(logits_of(rebuilt(record, student)), logits_of(student))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_narrower_student_keeps_the_dimensions_of_the_largest_norms(name: str) -> None:
    changes = {"embedding_size": 12} if name == "electra" else {}
    network, wanted = tiny_network(name, **changes), [0, 3, 4, 6, 9, 10, 13, 15]
    with torch.no_grad():
        for parts in layer_parts(network):
            for norm in parts.norms:
                norm.weight[wanted] += 5
    before = copy.deepcopy(network)
    student, record = cut(network, hidden_size=8, num_heads=2)
    for old, new in zip(layer_parts(before), layer_parts(student), strict=True):
        assert torch.equal(new.intermediate.weight, old.intermediate.weight[:, wanted])
        assert torch.equal(new.output.bias, old.output.bias[wanted])
    assert layer_shapes(student) == (LayerShape((0, 1), 24),) * 3
    assert record.layout == "hf_uniform"


def test_heads_that_share_a_position_bias_go_together() -> None:
    network = tiny_network("mpnet")
    with torch.no_grad():
        for parts, weak in zip(layer_parts(network), ([0, 1], [0, 2], [0, 2]), strict=True):
            for head in weak:
                parts.attention_output.weight[:, 4 * head : 4 * head + 4] *= 0.01
    before = copy.deepcopy(network)
    student, record = cut(network, hidden_size=8, num_heads=2)  # heads 1 and 3 stay
    bias = "mpnet.encoder.relative_attention_bias.weight"
    assert torch.equal(student.state_dict()[bias], before.state_dict()[bias][:, [1, 3]])
    for old, new in zip(layer_parts(before), layer_parts(student), strict=True):
        assert torch.equal(new.value.bias.view(2, 4), old.value.bias.view(4, 4)[[1, 3]])
    assert record.layout == "hf_uniform"


@pytest.mark.parametrize("name", CONFIGS)
def test_all_cuts_at_once_open_in_plain_transformers(name: str, tmp_path: Path) -> None:
    sizes = {"num_layers": 2, "hidden_size": 12, "num_heads": 3, "intermediate_size": 10}
    student, record = cut(tiny_network(name), **sizes)
    assert (record.layout, record.layers) == ("hf_uniform", None)
    assert record.history[-1] == {
        "operation": "student",
        **sizes,
        "layer_map": "even",
        "weights": "teacher",
        "layers": [1, 2],
    }
    student.save_pretrained(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert plain.config.hidden_size == 12
    assert plain.config.num_attention_heads == 3
    assert layer_shapes(plain) == (LayerShape((0, 1, 2), 10),) * 2
    torch.testing.assert_close(logits_of(plain), logits_of(student), rtol=0, atol=1e-6)
    assert torch.equal(logits_of(rebuilt(record, student)), logits_of(student))
    loss = student.train()(torch.arange(8).view(2, 4), labels=torch.tensor([0, 1])).loss
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())


def test_layers_of_shapes_of_their_own_may_still_be_dropped() -> None:
    network = tiny_network("mpnet")
    remove_heads_and_neurons(network, [[0], [], [1, 3]], [[3], [], []])
    record = record_of(network).with_shapes(layer_shapes(network))
    expected = copy.deepcopy(network)
    keep_layers(expected, [0, 2])
    student, after = cut_student(network, record, StudentStructure([0, 2]))
    assert torch.equal(logits_of(student), logits_of(expected))
    assert after.layers == (LayerShape((1, 2, 3), 23), LayerShape((0, 2), 24))
    assert torch.equal(logits_of(rebuilt(after, student)), logits_of(expected))
    for structure in (StudentStructure(hidden_size=8), StudentStructure(intermediate_size=8)):
        with pytest.raises(
            InputError, match=r"Expected `num_layers` alone in `model\.structure` for"
        ):
            cut_student(student, after, structure)
    with pytest.raises(InputError, match=r"`model\.structure\.weights: teacher` for a base"):
        fresh_student(after, StudentStructure(weights="fresh"))


def test_operators_follow_their_layers() -> None:
    network = tiny_network("bert")
    norms = [NormConstants((1.0 + n,) * 16, (0.5 * n,) * 16) for n in range(6)]
    constants = ((norms[0], norms[1]), (norms[2], norms[3]), (norms[4], norms[5]))
    operators = Operators(relu=0.5, affine_norm=0.5, constants=constants)
    apply_operators(network, operators)
    record = record_of(network).with_operators(operators)
    student, after = cut_student(network, record, StudentStructure(num_layers=1))
    assert after.operators == replace(operators, constants=constants[2:])
    assert torch.equal(logits_of(rebuilt(after, student)), logits_of(student))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_fresh_student_has_the_sizes_and_no_weights_of_its_base(name: str) -> None:
    base = record_of(tiny_network(name))
    structure = StudentStructure(4, 32, 2, 8, weights="fresh")  # more layers, and wider
    record = fresh_student(base, structure)
    network = record.build()
    assert layer_shapes(network) == (LayerShape((0, 1), 8),) * 4
    assert network.config.hidden_size == 32
    assert layer_parts(network)[0].head_size == 16
    unchanged = {k: v for k, v in base.config.items() if record.config[k] == v}
    assert len(base.config) - len(unchanged) == 4
    assert record.layout == "hf_uniform"
    assert record.history[-1] == {"operation": "student", **structure.as_plain()}
    assert logits_of(network).isfinite().all()


def test_fresh_weights_follow_the_seed() -> None:
    record = fresh_student(record_of(tiny_network("bert")), StudentStructure(2, weights="fresh"))
    torch.manual_seed(3)
    first, second = record.build(), record.build()
    torch.manual_seed(3)
    assert torch.equal(logits_of(record.build()), logits_of(first))
    assert not torch.equal(logits_of(second), logits_of(first))


def test_embeddings_that_are_hidden_states_are_as_wide() -> None:
    base = record_of(tiny_network("electra", embedding_size=16))
    assert (
        fresh_student(base, StudentStructure(hidden_size=8, weights="fresh")).config[
            "embedding_size"
        ]
        == 8
    )
    student, record = cut(tiny_network("electra", embedding_size=16), hidden_size=8)
    assert record.config["embedding_size"] == 8
    assert not hasattr(student.electra, "embeddings_project")


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("bert", {"num_layers": 4}, r"`model.structure.num_layers` to be in \[1, 3\], .* got 4"),
        ("bert", {"num_layers": [0, 3]}, r"positions in \[0, 3\), .* got \[0, 3\]; count from 0"),
        ("bert", {"hidden_size": 20}, r"`model.structure.hidden_size` to be in \[1, 16\], .* 20"),
        ("bert", {"num_heads": 5}, r"`model.structure.num_heads` to be in \[1, 4\], .* got 5"),
        ("bert", {"intermediate_size": 25}, r"`.*intermediate_size` to be in \[1, 24\], .* got 25"),
        ("bert", {"hidden_size": 10}, r"multiple .* got 10 for 4 heads; .* `hidden_size: 8`"),
        (
            "distilbert",
            {"hidden_size": 12, "num_heads": 2},
            r"`model.structure.num_heads` to be at least 3 for a hidden size of 12, as the base"
            r" model's heads have 4 channels, got 2, heads of 6",
        ),
        ("electra", {"hidden_size": 8}, r"`.*hidden_size` to differ from 8, the size of .* got 8"),
    ],
)
def test_refuses_what_the_teacher_has_not_and_changes_nothing(
    name: str, sizes: dict[str, Any], message: str
) -> None:
    network = tiny_network(name)
    expected = logits_of(network)
    with pytest.raises(InputError, match=message):
        cut(network, **sizes)
    assert torch.equal(logits_of(network), expected)


def test_refuses_fresh_heads_that_do_not_divide() -> None:
    structure = StudentStructure(num_heads=3, weights="fresh")
    with pytest.raises(InputError, match=r"got 16 for 3 heads; set, for example, `hidden_size: 15"):
        fresh_student(record_of(tiny_network("bert")), structure)


def test_refuses_other_families_by_name() -> None:
    albert = AutoModelForSequenceClassification.from_config(AlbertConfig(**SMALL, embedding_size=8))
    known = r"\(bert, .*mpnet\), got 'albert', whose layers share"
    with pytest.raises(InputError, match=known):
        fresh_student(record_of(albert), StudentStructure(2, weights="fresh"))
    with pytest.raises(InputError, match=known):
        cut_student(albert, record_of(albert), StudentStructure(2))


def test_the_record_before_stays_as_it_is() -> None:
    network = tiny_network("bert")
    record = record_of(network)
    before = replace(record, config=dict(record.config), history=list(record.history))
    cut_student(network, record, StudentStructure(num_layers=1, hidden_size=8))
    assert record == before
