"""Post-training quantization, against what the calibration rows say one by one."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from datamodules import TextDataModule
from lightning_app.commands.accuracy_search import search_groups_to_leave
from lightning_app.commands.derived_checkpoint import check_target, write_checkpoint
from lightning_app.commands.module_groups import ModuleGroup, module_groups
from lightning_app.commands.quantization_files import cost_bars
from lightning_app.commands.quantization_result import AccuracySearch
from lightning_app.commands.quantization_text import quantization_summary
from lightning_app.commands.quantize import Quantize
from lightning_app.commands.quantized_checkpoint import weight_bytes
from lightning_app.commands.row_scorer import Score
from lightning_app.errors import InputError
from lightning_app.functional.activation_histogram import entropy_threshold, histogram
from lightning_app.functional.quantization import percentile_range
from modules import TextClassifier
from modules.fake_quantization import fake_quantized_modules, quantized_weight
from modules.network_inputs import network_inputs
from modules.quantization import ModuleQuantization, Quantization
from tests.tiny_fit import fit, quiet_trainer, reviews_data

LAYER = "bert.encoder.layer.{}.{}"
LINEAR = LAYER.format(0, "output.dense")
EMBEDDING = ModuleQuantization("weight_only")


class LargeWeights(Callback):
    """Far enough from each other that what is missing shows."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for parameter in pl_module.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.3)


@pytest.fixture(scope="module")
def checkpoint(tiny_model: str, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model that has learned its rows."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("quantize") / "best.ckpt"
    model = TextClassifier(tiny_model, learning_rate=3e-3)
    fit(tiny_model, reviews, LargeWeights(), model=model, max_epochs=8).save_checkpoint(path)
    return path


@pytest.fixture
def model(checkpoint: Path) -> TextClassifier:
    return TextClassifier.load_from_checkpoint(checkpoint)


@pytest.fixture
def data(reviews: Path, tiny_model: str) -> TextDataModule:
    return reviews_data(reviews, tokenizer=tiny_model)


def modules_of(model: TextClassifier) -> dict[str, ModuleQuantization]:
    assert model.architecture is not None
    assert model.architecture.quantization is not None
    return dict(model.architecture.quantization.modules)


def seen_one_by_one(
    model: TextClassifier, data: TextDataModule, num_rows: int
) -> dict[str, Tensor]:
    """All values that each linear layer of the encoder is given, by rows without padding."""
    data.setup("fit")
    found: dict[str, list[Tensor]] = {}
    network: Any = copy.deepcopy(model.network)
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear) and ".encoder." in name:
            values = found.setdefault(name, [])
            module.register_forward_pre_hook(lambda _, x, v=values: v.append(x[0].flatten()))
    with torch.no_grad():
        for batch in data.calibration_loader(num_rows, 1, seed=42):
            network(**network_inputs(batch))
    return {name: torch.cat(values) for name, values in found.items()}


@pytest.mark.parametrize("observer", ["min_max", "percentile", "entropy"])
def test_ranges_are_those_of_the_calibration_rows(
    observer: Any, model: TextClassifier, data: TextDataModule
) -> None:
    seen = seen_one_by_one(model, data, 20)
    model.train()
    Quantize(observer=observer, percentile=90, num_rows=20, batch_size=7).quantize(model, data)
    assert model.training  # it is as it was
    modules = modules_of(model)
    assert len(seen) == 12
    for name, values in seen.items():
        low, high = (float(value) for value in values.aminmax())
        tolerance = 1e-4
        if observer == "percentile":
            low, high = percentile_range(values, 90).tolist()
            tolerance = float(values.max() - values.min()) / 2048
        elif observer == "entropy":
            largest = max(-low, high)
            counts = histogram(values[values != 0].abs(), 0.0, largest)
            limit = entropy_threshold(counts, largest)
            low, high = max(low, -limit), min(high, limit)
            tolerance = largest / 500  # a value on the other side of a bin's edge
        assert modules[name].activation_range == pytest.approx((low, high), abs=tolerance)


def test_what_is_recorded(model: TextClassifier, data: TextDataModule) -> None:
    weights = copy.deepcopy(model.state_dict())
    result = Quantize(weight_bits=7, num_rows=1000).quantize(model, data)
    modules = modules_of(model)
    network: Any = model.network
    assert set(fake_quantized_modules(network)) == set(modules)
    assert (result.num_quantized, result.num_left, result.rows) == (15, 0, 24)
    assert {m.weight_bits for m in modules.values() if m.scheme == "static"} == {7}
    assert [m for n, m in modules.items() if "embeddings" in n] == [EMBEDDING] * 3
    assert model.architecture is not None
    assert model.architecture.history[-1] == {
        "operation": "quantize",
        "by": "post-training",
        "scheme": "static",
        "observer": "percentile",
        "rows": 24,
    }
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert all(not m._forward_pre_hooks for m in fake_quantized_modules(network).values())


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "dynamic"},
        {"scheme": "weight_only", "weight_bits": 4, "group_size": 8},
        {"observer": "percentile", "exclude": ["*.layer.1.*", "embeddings.*"]},
        {"include": ["query"], "max_drop": 1.0, "num_rows": 8},
    ],
)
def test_scores_are_those_of_validate_and_survive_the_checkpoint(
    options: dict[str, Any],
    checkpoint: Path,
    model: TextClassifier,
    data: TextDataModule,
    reviews: Path,
    tmp_path: Path,
) -> None:
    trainer = quiet_trainer()
    plain = trainer.validate(model, datamodule=reviews_data(reviews), verbose=False)[0]
    result = Quantize(**options).quantize(model, data)
    assert model.architecture is not None
    target = tmp_path / "quantized.ckpt"
    write_checkpoint(checkpoint, model.architecture, target)
    assert target.stat().st_mtime_ns < checkpoint.stat().st_mtime_ns
    opened = TextClassifier.load_from_checkpoint(target)
    assert modules_of(opened) == modules_of(model)
    again = trainer.validate(opened, datamodule=reviews_data(reviews), verbose=False)[0]
    for scores, expected in ((result.before, plain), (result.after, again)):
        assert scores.score == pytest.approx(expected["val/score"], abs=1e-6)
        assert scores.loss == pytest.approx(expected["val/loss"], rel=1e-5)
    assert result.before.loss != result.after.loss
    with pytest.raises(InputError, match="holds a finished"):
        quiet_trainer().fit(model, datamodule=reviews_data(reviews), ckpt_path=target)


def test_held_back_rows_are_no_calibration_rows(
    model: TextClassifier, reviews: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = reviews_data(reviews, tokenizer=tiny_model, num_folds=4)
    chosen: list[set[int]] = []
    loader = data.calibration_loader

    def spy(*args: Any, **options: Any) -> Any:
        made = loader(*args, **options)
        assert made.dataset.rows is not None
        chosen.append(set(made.dataset.rows.tolist()))
        return made

    monkeypatch.setattr(data, "calibration_loader", spy)
    result = Quantize(num_rows=10, num_held_back=5, max_drop=1.0).quantize(model, data)
    calibration, held_back = chosen
    validated = {int(i) for batch in data.val_dataloader()[0] for i in batch["index"]}
    assert (len(calibration), len(held_back), len(validated)) == (10, 5, 6)
    assert not calibration & held_back
    assert not (calibration | held_back) & validated
    assert result.search is not None
    assert result.search.rows == 5


def test_all_rows_to_calibrate_on_leave_none_to_measure(
    model: TextClassifier, data: TextDataModule
) -> None:
    with pytest.raises(InputError, match=r"`quantize.num_rows` to leave training rows .* got 24"):
        Quantize(num_rows=24, max_drop=0.01).quantize(model, data)


def test_the_costliest_stays_in_float32(model: TextClassifier, data: TextDataModule) -> None:
    network: Any = model.network
    layer = network.bert.encoder.layer[0]
    with torch.no_grad():  # one neuron far out that says nothing, and the others are rounded away
        layer.intermediate.dense.bias[3] = 1e5
        layer.output.dense.weight[:, 3] = 0
    options = {"num_rows": 12, "num_held_back": 12}
    result = Quantize(max_drop=0.0, **options).quantize(model, data)  # type: ignore[arg-type]
    search = result.search
    assert search is not None
    costliest = max(search.costs, key=lambda cost: (cost.drop, cost.rise))
    assert costliest.group == ModuleGroup("layer 0 output.dense", (LINEAR,), 0)
    assert costliest.drop > 0.1
    assert costliest.is_left
    assert search.is_met
    assert search.drop <= 0
    assert LINEAR not in modules_of(model)
    assert type(network.get_submodule(LINEAR)) is torch.nn.Linear
    left = [name for cost in search.costs if cost.is_left for name in cost.group.modules]
    assert (result.num_left, result.num_quantized) == (len(left), 15 - len(left))
    assert "left in float32: layer 0 output.dense" in quantization_summary(result)
    assert len(cost_bars(search, "reviews").axes) == 2


class ScriptedScorer:
    """Scores a set of quantized groups by a table; remembers from which layer it was asked."""

    def __init__(self, costs: dict[str, float], floor: float = 0.0) -> None:
        self.costs, self.floor = costs, floor
        self.quantized: tuple[str, ...] = ()
        self.rows = {"train": 7}

    def quantize(self, groups: Sequence[ModuleGroup]) -> None:
        self.quantized = tuple(group.name for group in groups)

    def score(self, from_layer: int = 0) -> Score:
        cost = sum(self.costs[name] for name in self.quantized)
        return Score(1.0 - max(cost, self.floor if self.quantized else 0.0), 2.0 + cost)


def searched(costs: dict[str, float], max_drop: float, floor: float = 0.0) -> AccuracySearch:
    groups = [ModuleGroup(name, (name,), layer) for layer, name in enumerate(costs)]
    scorer: Any = ScriptedScorer(costs, floor)
    return search_groups_to_leave(groups, scorer.quantize, scorer, max_drop)


def test_groups_go_from_the_costliest_on_until_it_is_enough() -> None:
    search = searched({"a": 0.1, "b": 0.3, "c": 0.2}, max_drop=0.1)
    assert [cost.drop for cost in search.costs] == pytest.approx([0.1, 0.3, 0.2])
    assert [cost.is_left for cost in search.costs] == [False, True, True]
    assert [trial.score for trial in search.trials] == pytest.approx([0.4, 0.7, 0.9])
    assert search.is_met
    assert search.drop == pytest.approx(0.1)
    assert not any(cost.is_left for cost in searched({"a": 0.1, "b": 0.1}, 0.2).costs)


def test_if_nothing_is_enough_the_best_choice_is_taken() -> None:
    search = searched({"a": 0.1, "b": 0.3, "c": 0.2}, max_drop=0.05, floor=0.15)
    assert not search.is_met
    assert search.num_left == 2  # and one stays quantized
    equal = searched({"a": 0.1, "b": 0.3, "c": 0.2}, max_drop=0.05, floor=0.35)
    assert equal.num_left == 1  # of equal drops that with the most groups


def test_that_nothing_is_enough_is_said(model: TextClassifier, data: TextDataModule) -> None:
    result = Quantize("weight_only").quantize(model, data)
    for floor, is_met in ((0.0, True), (0.35, False)):
        search = searched({"a": 0.1, "b": 0.3}, max_drop=0.2, floor=floor)
        text = quantization_summary(replace(result, search=search))
        assert (
            "no choice of modules is within max_drop; the best one is written" in text
        ) != is_met
        assert ("NOT within max_drop=0.2" in text) != is_met


def test_groups_share_what_they_read(model: TextClassifier) -> None:
    network: Any = model.network
    names = [n for n, m in network.named_modules() if isinstance(m, torch.nn.Linear)]
    groups = module_groups(network, ["bert.embeddings.word_embeddings", *names])
    projections = tuple(LAYER.format(1, f"attention.self.{n}") for n in ("query", "key", "value"))
    assert ModuleGroup("layer 1 query, key, value", projections, 1) in groups
    assert groups[0] == ModuleGroup("embeddings", ("bert.embeddings.word_embeddings",))
    assert groups[-1] == ModuleGroup("classifier", ("classifier",))
    assert [group.layer for group in groups] == [None, *[0] * 4, *[1] * 4, None, None]
    assert sorted(n for g in groups[1:] for n in g.modules) == sorted(names)


def test_the_size_is_that_of_the_integers_and_scales(model: TextClassifier) -> None:
    network: Any = model.network
    whole = 4 * sum(p.numel() for p in network.parameters())
    assert weight_bytes(network) == whole
    model.set_quantization(Quantization({LINEAR: ModuleQuantization("weight_only", 8, 20)}))
    integers, scales = quantized_weight(fake_quantized_modules(network)[LINEAR])
    assert scales.shape == (32, 3)
    expected = whole - 4 * integers.numel() + integers.numel() + 4 * scales.numel()
    assert weight_bytes(network) == expected
    model.set_quantization(Quantization({LINEAR: ModuleQuantization("weight_only", 4)}))
    assert weight_bytes(network) == whole - 4 * 32 * 48 + 32 * 24 + 32 * 4


def test_a_quantized_model_is_refused(model: TextClassifier, data: TextDataModule) -> None:
    Quantize("weight_only").quantize(model, data)
    with pytest.raises(InputError, match=r"not quantized, got one with 15 quantized"):
        Quantize("weight_only").quantize(model, data)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scheme": "int8"}, "`quantize.scheme` to be one of dynamic, static, weight_only, got"),
        ({"weight_bits": 9}, r"`quantize.weight_bits` to be in \[2, 8\], got 9"),
        ({"group_size": 1}, "`quantize.group_size` to be at least 2, got 1"),
        ({"observer": "mean"}, "`quantize.observer` to be one of min_max, percentile, entropy"),
        ({"observer": "entropy", "scheme": "dynamic"}, "`quantize.observer: entropy` with"),
        ({"percentile": 0}, r"`quantize.percentile` to be in \(0, 100\], got 0"),
        ({"num_rows": 0}, "`quantize.num_rows` to be at least 1, got 0"),
        ({"batch_size": 0}, "`quantize.batch_size` to be at least 1, got 0"),
        ({"num_held_back": 0}, "`quantize.num_held_back` to be at least 1, got 0"),
        ({"max_drop": -0.1}, "`quantize.max_drop` to be at least 0, got -0.1"),
        ({"output": "model.json"}, r"named `\*.ckpt`, got 'model.json'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Quantize(**options)


def test_patterns_that_match_nothing_are_refused(
    model: TextClassifier, data: TextDataModule
) -> None:
    with pytest.raises(InputError, match=r"`exclude` to match .* 'nothing' matches none of"):
        Quantize(exclude=["nothing"]).quantize(model, data)


def test_what_must_not_be_written_over(checkpoint: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.ckpt"
    there.touch()
    with pytest.raises(InputError, match=r"there.ckpt', which is there; choose another name"):
        check_target(there, checkpoint, overwrite=False, command="quantize")
    check_target(there, checkpoint, overwrite=True, command="quantize")
    with pytest.raises(InputError, match=r"another file than `--ckpt_path`"):
        check_target(checkpoint, checkpoint, overwrite=True, command="quantize")
    with pytest.raises(InputError, match=r"to be a file, got the folder"):
        check_target(tmp_path, checkpoint, overwrite=True, command="quantize")
    with pytest.raises(InputError, match=r"Expected to write the checkpoint '/dev/null/a.ckpt'"):
        check_target(Path("/dev/null/a.ckpt"), checkpoint, overwrite=False, command="quantize")
