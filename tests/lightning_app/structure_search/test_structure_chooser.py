"""The structure that is chosen, against the model that it leaves and against what it promised."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer

from datamodules import TextDataModule
from lightning_app.errors import InputError
from lightning_app.functional.distillation import soft_target_losses
from lightning_app.functional.latency_model import LatencyModel
from lightning_app.structure_search import (
    Budget,
    LatencyTable,
    StructureChoice,
    choose_structure,
)
from lightning_app.structure_search.latency_probes import ProbeGrid
from lightning_app.structure_search.recovery_trial import RecoveryTrial
from modules import TextClassifier
from modules.families import layer_parts
from modules.network_inputs import network_inputs
from modules.structure import layer_shapes
from tests.end_to_end.command import differences
from tests.lightning_app.artifact.tiny_families import tiny_family
from tests.tiny_bert import save_bert
from tests.tiny_fit import reviews_data

GRID = ProbeGrid((1, 2, 3, 4), (4, 8, 16, 32, 48), (8, 16))
LAYERS, HEADS, WIDTH = 3, 4, 48


def latency_model(scale: float) -> LatencyModel:
    return LatencyModel(
        fixed=0.3 * scale,
        heads=GRID.heads,
        heads_ms=tuple(scale * (0.2 + 0.1 * heads) for heads in GRID.heads),
        widths=GRID.widths,
        widths_ms=tuple(scale * 0.01 * width for width in GRID.widths),
        last=(0.05 * scale, 0.02 * scale, 0.002 * scale),
    )


TABLE = LatencyTable(
    GRID,
    {8: latency_model(1.0), 16: latency_model(2.0)},
    {8: latency_model(1.1), 16: latency_model(2.3)},
    {},
)
DENSE_MS = 0.3 + 2 * (0.2 + 0.4 + 0.48) + 0.05 + 0.08 + 0.096


@pytest.fixture(scope="module")
def base(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("base")
    sizes = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    return save_bert(folder, AutoTokenizer.from_pretrained(tiny_model), 0, **sizes)


@pytest.fixture
def data(reviews: Path, tiny_model: str) -> TextDataModule:
    return reviews_data(reviews, tokenizer=tiny_model)


def built(base: str, data: TextDataModule) -> TextClassifier:
    """With weights far enough from each other that what is missing shows."""
    data.setup("fit")
    model = TextClassifier(base)
    model.build(data.task)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


@pytest.fixture
def model(base: str, data: TextDataModule) -> TextClassifier:
    return built(base, data)


def chosen(model: TextClassifier, data: TextDataModule, **options: Any) -> StructureChoice:
    given = {"table": TABLE, "length": 8, "num_candidates": 4, "say": lambda _: None, **options}
    budget = Budget(
        **{k: given.pop(k) for k in ("latency_ms", "parameters", "size_mb") & given.keys()}
    )
    return choose_structure(model, data, budget=budget, **given)


def changed(model: TextClassifier, choice: StructureChoice) -> TextClassifier:
    small = copy.deepcopy(model)
    if len(choice.kept) < len(choice.layers):
        small.keep_layers(choice.layers_kept)
    small.prune_structure(choice.heads, choice.neurons)
    return small


@torch.no_grad()
def answers(model: TextClassifier, data: TextDataModule) -> Tensor:
    assert model.network is not None
    model.eval()
    batches = data.calibration_loader(256, 32, 42)
    return torch.cat([model.network(**network_inputs(batch)).logits for batch in batches])


def parameters(model: TextClassifier) -> int:
    assert model.network is not None
    return sum(p.numel() for p in model.network.parameters())


@pytest.mark.parametrize("share", [0.9, 0.6, 0.4, 0.25])
def test_the_loss_is_that_of_the_model_it_leaves(
    model: TextClassifier, data: TextDataModule, share: float
) -> None:
    choice = chosen(model, data, latency_ms=share * DENSE_MS)
    small = changed(model, choice)
    assert small.network is not None
    assert layer_shapes(small.network) == choice.shapes
    assert choice.meets_budget
    assert choice.predicted_ms == TABLE.predict(choice.shapes, 8) <= share * DENSE_MS
    assert choice.predicted_ms > 0.5 * share * DENSE_MS
    assert choice.parameters == parameters(small)
    losses = soft_target_losses(answers(small, data), answers(model, data))
    assert choice.loss == pytest.approx(float(losses.mean()), rel=1e-3)
    assert choice.loss > 1e-4


def test_mixed_lengths_count_as_calls_that_change(
    model: TextClassifier, data: TextDataModule
) -> None:
    choice = chosen(model, data, length=[8, 16, 16, 12], latency_ms=2.0)
    assert choice.predicted_ms == TABLE.predict(choice.shapes, [8, 16, 16, 12]) <= 2.0


@pytest.mark.parametrize("share", [0.95, 0.8, 0.62])
def test_a_budget_of_parameters_is_kept(
    model: TextClassifier, data: TextDataModule, share: float
) -> None:
    most = int(share * parameters(model))
    choice = chosen(model, data, table=None, parameters=most)
    assert choice.parameters == parameters(changed(model, choice)) <= most
    assert choice.predicted_ms is None


def test_a_budget_of_megabytes_is_kept(model: TextClassifier, data: TextDataModule) -> None:
    # Floating point takes four bytes a parameter, and integers less.
    most = 0.8 * 4e-6 * parameters(model)
    choice = chosen(model, data, table=None, size_mb=most, runtime="onnx")
    assert 4e-6 * parameters(changed(model, choice)) <= most
    assert chosen(model, data, table=None, size_mb=most, runtime="onnx-int8").loss == 0


def test_the_model_is_as_it_was(model: TextClassifier, data: TextDataModule) -> None:
    assert model.network is not None
    model.train()
    before = copy.deepcopy(model.state_dict())
    modules, record = list(model.modules()), model.architecture
    answered = answers(model, data)
    model.train()
    chosen(model, data, latency_ms=0.5 * DENSE_MS)
    assert differences(before, model.state_dict()) == []
    assert list(model.modules()) == modules
    assert model.architecture == record
    assert all(module.training for module in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.network.parameters())
    hooks = [m for m in model.network.modules() if m._forward_pre_hooks or m._forward_hooks]
    assert len(hooks) == 1  # the last layer's first token
    assert torch.equal(answers(model, data), answered)


def test_equal_seeds_choose_equally(base: str, data: TextDataModule) -> None:
    def choice(seed: int) -> StructureChoice:
        return chosen(built(base, data), data, latency_ms=0.5 * DENSE_MS, seed=seed)

    assert choice(1) == choice(1)


def test_more_candidates_are_never_worse(model: TextClassifier, data: TextDataModule) -> None:
    def loss(share: float, number: int) -> float:
        options = {"num_candidates": number, "recovery_steps": 0}
        return chosen(model, data, latency_ms=share * DENSE_MS, **options).loss

    first, best = ([loss(share, n) for share in (0.7, 0.5, 0.35)] for n in (1, 16))
    assert all(b <= f for f, b in zip(first, best, strict=True))
    assert sum(best) < sum(first)


def test_of_the_finalists_the_one_is_taken_that_learns_best(
    model: TextClassifier, data: TextDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, ...], int]] = []

    def loss(self: Any, layers: Any, num_steps: int, done: Any) -> float:
        kept = tuple(layer.layer for layer in layers if layer.is_kept)
        asked.append((kept, num_steps))
        return float(kept != (0, 2))

    monkeypatch.setattr(RecoveryTrial, "loss", loss)
    choice = chosen(model, data, latency_ms=0.7 * DENSE_MS, recovery_steps=1)
    assert choice.layers_kept == [0, 2]
    assert {shape.intermediate_size for shape in choice.shapes} == {WIDTH}
    last = [kept for kept, num_steps in asked if num_steps == 1]
    assert len(last) == 3
    assert last[0] == (0, 2)
    assert len(asked) > len(last)


def make_useless(model: TextClassifier, layer: int) -> None:
    """Its attention and FFN give zero; what is normalized stays so."""
    assert model.network is not None
    with torch.no_grad():
        for parts in layer_parts(model.network):
            for norm in parts.norms:
                norm.weight.fill_(1)
                norm.bias.zero_()
        parts = layer_parts(model.network)[layer]
        for linear in (parts.attention_output, parts.output):
            linear.weight.zero_()
            linear.bias.zero_()


@pytest.mark.parametrize("layer", [1, 2])
def test_a_layer_that_does_nothing_goes_first(
    model: TextClassifier, data: TextDataModule, layer: int
) -> None:
    make_useless(model, layer)
    assert model.network is not None
    of_layer = sum(p.numel() for p in layer_parts(model.network)[layer].layer.parameters())
    # Hardly more than what is left: the search divides a budget into 4000 steps.
    most = int(1.002 * (parameters(model) - of_layer))
    choice = chosen(model, data, table=None, parameters=most)
    assert choice.layers_kept == [other for other in range(LAYERS) if other != layer]
    assert choice.loss < 1e-7
    assert all(
        len(shape.heads) == HEADS and shape.intermediate_size == WIDTH for shape in choice.shapes
    )


def test_heads_and_neurons_that_do_nothing_go_first(
    model: TextClassifier, data: TextDataModule
) -> None:
    assert model.network is not None
    useless = [0, 5, 9, *range(20, 41)]  # 24 of 48: what is left is a size that is measured
    with torch.no_grad():
        for parts in layer_parts(model.network):
            parts.output.weight[:, useless] = 0
            parts.attention_output.weight[:, 8:16] = 0  # the second head
    small = parameters(model) - LAYERS * (24 * (2 * 32 + 1) + 8 * (4 * 32 + 3))
    choice = chosen(model, data, table=None, parameters=int(small * 1.002), drop_layers=False)
    assert choice.loss < 1e-9
    assert [c.heads for c in choice.layers] == [(1,)] * LAYERS
    assert [c.neurons for c in choice.layers] == [tuple(useless)] * LAYERS


def test_all_layers_can_be_told_to_stay(model: TextClassifier, data: TextDataModule) -> None:
    choice = chosen(model, data, latency_ms=0.5 * DENSE_MS, drop_layers=False)
    assert choice.layers_kept == [0, 1, 2]
    assert choice.predicted_ms is not None
    assert choice.predicted_ms <= 0.5 * DENSE_MS


def test_a_model_that_meets_the_budget_stays(model: TextClassifier, data: TextDataModule) -> None:
    choice = chosen(model, data, latency_ms=DENSE_MS + 1e-9)
    assert (choice.loss, choice.layers_kept) == (0, [0, 1, 2])
    assert (choice.heads, choice.neurons) == ([[], [], []], [[], [], []])
    assert choice.predicted_ms == pytest.approx(DENSE_MS)


def test_what_is_smaller_already_shrinks_further(
    model: TextClassifier, data: TextDataModule
) -> None:
    gone = [list(range(20)), [], list(range(30, 48))]
    model.prune_structure([[0], [], [1, 2]], gone)
    assert model.network is not None
    before = layer_shapes(model.network)
    dense = TABLE.predict(before, 8)
    choice = chosen(model, data, latency_ms=0.6 * dense)
    small = changed(model, choice)
    assert small.network is not None
    assert layer_shapes(small.network) == choice.shapes
    for layer in choice.kept:
        assert layer.shape is not None
        assert set(layer.shape.heads) <= set(before[layer.layer].heads)
        assert layer.shape.intermediate_size <= before[layer.layer].intermediate_size
    losses = soft_target_losses(answers(small, data), answers(model, data))
    assert choice.loss == pytest.approx(float(losses.mean()), rel=1e-3)


SMALLEST_MS = 0.3 + 0.05 + 0.02 + 4 * 0.002


def test_no_structure_is_small_enough(model: TextClassifier, data: TextDataModule) -> None:
    with pytest.raises(InputError, match=r"latency_ms=0.2: .* one layer of 1 heads and 4 neurons"):
        chosen(model, data, latency_ms=0.2)
    with pytest.raises(InputError, match=r"takes 0.378 ms"):
        chosen(model, data, latency_ms=0.35)
    choice = chosen(model, data, latency_ms=0.2, nearest=True)
    assert not choice.meets_budget
    assert choice.predicted_ms == pytest.approx(SMALLEST_MS)
    assert [(len(s.heads), s.intermediate_size) for s in choice.shapes] == [(1, 4)]
    small = changed(model, choice)
    losses = soft_target_losses(answers(small, data), answers(model, data))
    assert choice.loss == pytest.approx(float(losses.mean()), rel=1e-3)


def test_the_smallest_meets_a_budget_that_is_its_price(
    model: TextClassifier, data: TextDataModule
) -> None:
    choice = chosen(model, data, latency_ms=SMALLEST_MS + 1e-12)
    assert choice.meets_budget
    assert choice.predicted_ms == pytest.approx(SMALLEST_MS)


def numbers_file(folder: Path) -> Path:
    lines = [f"the film was {'very ' * (row % 5)}good,{row % 5 / 2}" for row in range(20)]
    file = folder / "numbers.csv"
    file.write_text("\n".join(["text,label", *lines]) + "\n")
    return file


def test_of_values_the_squared_error_counts(base: str, tiny_model: str, tmp_path: Path) -> None:
    from datamodules import TextFilesDataModule

    file = str(numbers_file(tmp_path))
    data = TextFilesDataModule(file, file, tokenizer=tiny_model, problem_type="regression")
    model = built(base, data)
    choice = chosen(model, data, latency_ms=0.6 * DENSE_MS)
    errors = (answers(changed(model, choice), data) - answers(model, data)).square()
    assert choice.loss == pytest.approx(float(errors.mean()), rel=1e-3)


@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra", "mpnet"])
def test_other_families(family: str, tiny_model: str, data: TextDataModule, tmp_path: Path) -> None:
    model = built(tiny_family(family, tiny_model, tmp_path / family), data)
    most = int(parameters(model) - 8000)
    choice = chosen(model, data, table=None, parameters=most)
    small = changed(model, choice)
    assert choice.parameters == parameters(small) <= most
    losses = soft_target_losses(answers(small, data), answers(model, data))
    assert choice.loss == pytest.approx(float(losses.mean()), rel=1e-3)


@pytest.mark.parametrize("family", ["albert", "deberta-v2"])
def test_families_that_cannot_be_changed_are_refused_by_name(
    family: str, tiny_model: str, data: TextDataModule, tmp_path: Path
) -> None:
    model = built(tiny_family(family, tiny_model, tmp_path / family), data)
    with pytest.raises(InputError, match=f"layers can be changed .*got '{family}'"):
        chosen(model, data, latency_ms=1.0)


def test_a_budget_of_time_needs_a_table(model: TextClassifier, data: TextDataModule) -> None:
    with pytest.raises(InputError, match=r"a latency table for a budget of latency_ms=1"):
        chosen(model, data, table=None, latency_ms=1.0)
