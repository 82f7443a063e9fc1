"""What a sensitivity analysis measures, against models that are really pruned."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer

from callbacks.sparsity_plan import read_plan, read_structure_plan
from callbacks.structure_importance import measured_importance
from datamodules import GLUEDataModule, TextDataModule
from lightning_app.commands.prunable_parts import Kind
from lightning_app.commands.sensitivity import Sensitivity
from lightning_app.commands.sensitivity_files import prepare_folder, write_files
from lightning_app.commands.sensitivity_result import (
    Measurement,
    SensitivityResult,
    planned_shares,
)
from lightning_app.commands.sensitivity_text import next_commands, summary
from lightning_app.commands.validation_scorer import ValidationScorer
from lightning_app.errors import InputError
from modules import TextClassifier
from tests.end_to_end.command import differences
from tests.tiny_fit import fit, quiet_trainer, reviews_data

SHARES = (0.25, 0.5, 0.9)
QUERY = "network.bert.encoder.layer.1.attention.self.query"


class LargeWeights(Callback):
    """Far enough from each other that what is missing shows."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for parameter in pl_module.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.3)


@pytest.fixture(scope="module")
def checkpoint(tiny_model: str, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model whose score falls when it is pruned."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("sensitivity") / "best.ckpt"
    model = TextClassifier(tiny_model, learning_rate=3e-3)
    fit(tiny_model, reviews, LargeWeights(), model=model, max_epochs=8).save_checkpoint(path)
    return path


@pytest.fixture
def model(checkpoint: Path) -> TextClassifier:
    return TextClassifier.load_from_checkpoint(checkpoint)


@pytest.fixture
def data(reviews: Path, tiny_model: str) -> TextDataModule:
    return reviews_data(reviews, tokenizer=tiny_model)


@pytest.fixture(scope="module")
def result(checkpoint: Path, reviews: Path, tiny_model: str) -> SensitivityResult:
    model = TextClassifier.load_from_checkpoint(checkpoint)
    data = reviews_data(reviews, tokenizer=tiny_model)
    return Sensitivity(SHARES, max_drop=0.05).measure(model, data)


def validated(model: TextClassifier, data: LightningDataModule) -> dict[str, float]:
    """What Lightning's own loop says."""
    by_loader = quiet_trainer().validate(model, datamodule=data, verbose=False)
    return {name: float(value) for values in by_loader for name, value in values.items()}


def cell(result: SensitivityResult, kind: Kind, name: str, share: float) -> Measurement:
    return next(m for m in result.parts(kind)[name] if m.share == share)


def check(measured: Any, model: TextClassifier, data: LightningDataModule) -> None:
    expected = validated(model, data)
    assert measured.score == pytest.approx(expected["val/score"], abs=1e-6)
    assert measured.loss == pytest.approx(expected["val/loss"], rel=1e-5)


def test_the_whole_models_score_is_that_of_validate(
    result: SensitivityResult, model: TextClassifier, reviews: Path
) -> None:
    check(result, model, reviews_data(reviews))
    assert result.rows == {"validation": 10}
    assert result.kinds == ["heads", "neurons", "unstructured"]
    counts = {kind: len(result.parts(kind)) for kind in result.kinds}
    assert counts == {"heads": 2, "neurons": 2, "unstructured": 12}
    assert len({m.score for m in result.measurements}) > 3


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize(("kind", "share"), [("heads", 0.5), ("neurons", 0.25), ("neurons", 0.9)])
def test_closed_gates_cost_what_removal_costs(
    kind: Kind,
    share: float,
    layer: int,
    result: SensitivityResult,
    model: TextClassifier,
    reviews: Path,
    data: TextDataModule,
) -> None:
    data.setup("fit")
    importance = measured_importance(data, model, 512, 42)[kind == "neurons"][layer]
    lowest = importance.argsort()[: round(share * len(importance))].tolist()
    gone: dict[str, list[list[int]]] = {"heads": [[], []], "neurons": [[], []]}
    gone[kind][layer] = lowest
    model.prune_structure(**gone)
    measured = cell(result, kind, str(layer), share)
    assert (measured.removed, measured.count) == (len(lowest), len(importance))
    assert measured.loss != pytest.approx(result.loss, rel=1e-5)
    check(measured, model, reviews_data(reviews))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", [QUERY, "network.bert.encoder.layer.0.output.dense"])
def test_masked_weights_cost_what_zeros_cost(
    name: str, share: float, result: SensitivityResult, model: TextClassifier, reviews: Path
) -> None:
    weight = model.get_parameter(f"{name}.weight")
    smallest = weight.detach().abs().flatten().argsort()[: round(share * weight.numel())]
    with torch.no_grad():
        weight.view(-1)[smallest] = 0
    measured = cell(result, "unstructured", name, share)
    assert measured.removed == len(smallest)
    check(measured, model, reviews_data(reviews))


def test_nothing_is_changed(model: TextClassifier, data: TextDataModule) -> None:
    model.train()
    before = copy.deepcopy(model.state_dict())
    versions = {name: id(parameter) for name, parameter in model.named_parameters()}
    modules = dict(model.named_modules())
    Sensitivity((0.5,), max_drop=1.0).measure(model, data)  # a plan with all that was tried
    assert differences(dict(before), dict(model.state_dict())) == []
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == versions
    assert dict(model.named_modules()) == modules
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert sum(len(m._forward_pre_hooks) for m in linears) == 0


def test_an_interruption_leaves_the_weights_whole(
    model: TextClassifier, data: TextDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = copy.deepcopy(model.state_dict())
    score, calls = ValidationScorer.score, []

    def stop(self: ValidationScorer, from_layer: int = 0) -> Any:
        calls.append(from_layer)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return score(self, from_layer)

    monkeypatch.setattr(ValidationScorer, "score", stop)
    with pytest.raises(KeyboardInterrupt):
        Sensitivity((0.5,), kinds=["unstructured"]).measure(model, data)
    assert differences(dict(before), dict(model.state_dict())) == []


def test_what_leaves_nothing_is_not_measured_and_what_is_the_same_is_measured_once(
    model: TextClassifier, data: TextDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, calls = ValidationScorer.score, []

    def count(self: ValidationScorer, from_layer: int = 0) -> Any:
        calls.append(from_layer)
        return score(self, from_layer)

    monkeypatch.setattr(ValidationScorer, "score", count)
    options = Sensitivity((0.1, 0.4, 0.5, 0.9), kinds=["heads"], max_drop=1.0)
    result = options.measure(model, data)
    for cells in result.parts("heads").values():
        assert [m.removed for m in cells] == [0, 1, 1, 2]
        assert cells[0].score == result.score
        assert cells[1].score == cells[2].score
        assert cells[3].score is None
    assert calls == [0, 0, 1, 0]  # the whole model, one head of each layer, the plan
    assert result.plan == {"heads": {"0": 0.5, "1": 0.5}}
    assert result.planned_removal("heads") == 0.5


def test_the_plan_costs_at_most_what_is_allowed(result: SensitivityResult) -> None:
    for kind, shares in result.plan.items():
        for name, share in shares.items():
            cells = result.parts(kind)[name]
            kept = [m for m in cells if m.share <= share]
            assert all(m.score is not None for m in kept)
            assert all(result.score - (m.score or 0) <= 0.05 + 1e-6 for m in kept)
            following = next((m for m in cells if m.share > share and m.removed), None)
            if following is not None and following.score is not None:
                assert result.score - following.score > 0.05
    assert any(share for shares in result.plan.values() for share in shares.values())


def test_a_share_beyond_one_that_costs_too_much_is_luck() -> None:
    def of(name: str, *scores: float | None) -> list[Measurement]:
        return [
            Measurement("heads", name, 0, share, 1, 8, score, 0.0)
            for share, score in zip(SHARES, scores, strict=True)
        ]

    cells = [*of("0", 0.79, 0.8, 0.81), *of("1", 0.8, 0.7, 0.8), *of("2", 0.5, 0.8, None)]
    cells += of("3", 0.8, 0.8, None)
    cells += [Measurement("neurons", "0", 0, 0.25, 0, 1, 0.8, 0.0)]  # none of one
    plan = planned_shares(cells, 0.8, 0.01)
    assert plan == {
        "heads": {"0": 0.9, "1": 0.25, "2": 0.0, "3": 0.5},
        "neurons": {"0": 0.0},
    }


def test_the_whole_plan_is_scored_too(
    result: SensitivityResult, model: TextClassifier, reviews: Path
) -> None:
    for name, share in result.plan["unstructured"].items():
        weight = model.get_parameter(f"{name}.weight")
        smallest = weight.detach().abs().flatten().argsort()[: round(share * weight.numel())]
        with torch.no_grad():
            weight.view(-1)[smallest] = 0
    expected = validated(model, reviews_data(reviews))["val/score"]
    assert result.together["unstructured"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("task", ["mnli", "stsb"])
def test_two_splits_and_regression(task: str, tiny_model: str) -> None:
    def glue() -> GLUEDataModule:
        return GLUEDataModule(task, dataset="embedded", max_train_rows=64, tokenizer=tiny_model)

    model = TextClassifier(tiny_model, learning_rate=1e-3)
    trainer = quiet_trainer(limit_val_batches=0)
    trainer.fit(model, datamodule=glue())
    options = Sensitivity((0.5,), kinds=["neurons", "unstructured"], num_samples=32)
    result = options.measure(model, glue())
    splits = {"mnli": ("validation_matched", "validation_mismatched"), "stsb": ("validation",)}
    assert tuple(result.rows) == splits[task]
    assert result.score == pytest.approx(validated(model, glue())["val/score"], abs=1e-6)
    name = "network.bert.encoder.layer.0.intermediate.dense"
    weight = model.get_parameter(f"{name}.weight")
    with torch.no_grad():
        weight.view(-1)[weight.abs().flatten().argsort()[: weight.numel() // 2]] = 0
    measured = cell(result, "unstructured", name, 0.5)
    assert measured.score == pytest.approx(validated(model, glue())["val/score"], abs=1e-6)


def test_few_rows_are_a_seeded_choice(model: TextClassifier, data: TextDataModule) -> None:
    data.setup("validate")

    def chosen(num_rows: int, seed: int) -> list[int]:
        (loader,) = data.validation_part(num_rows, seed)
        return sorted(int(row) for batch in loader for row in batch["index"])

    assert chosen(4, 1) == chosen(4, 1) != chosen(4, 2)
    assert len(set(chosen(4, 1))) == 4
    assert chosen(99, 1) == list(range(10))
    result = Sensitivity((0.5,), ["unstructured"], num_rows=4).measure(model, data)
    assert result.rows == {"validation": 4}


def test_include_and_exclude_are_those_of_the_callbacks(
    model: TextClassifier, data: TextDataModule
) -> None:
    options = Sensitivity(
        (0.5,), ["unstructured"], include=["pooler.dense", "*.query"], exclude=["*.0.*"]
    )
    result = options.measure(model, data)
    assert list(result.parts("unstructured")) == [QUERY, "network.bert.pooler.dense"]
    assert [m.layer for m in result.measurements] == [1, None]


@pytest.fixture
def albert(tiny_model: str, tmp_path: Path) -> str:
    from transformers import AlbertConfig, AlbertForSequenceClassification, AutoTokenizer

    config = AlbertConfig(
        vocab_size=200,
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
    )
    AlbertForSequenceClassification(config).save_pretrained(tmp_path / "albert")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "albert")
    return str(tmp_path / "albert")


def test_a_family_without_gates(albert: str, reviews: Path) -> None:
    trainer = fit(albert, reviews)
    model: Any = trainer.lightning_module
    data = reviews_data(reviews, tokenizer=albert)
    with pytest.raises(InputError, match=r"measure heads and neurons, got 'albert'; set `--sens"):
        Sensitivity((0.5,)).measure(model, data)
    with pytest.raises(InputError, match=r"to measure neurons, got 'albert'"):
        Sensitivity((0.5,), kinds=["unstructured", "neurons"]).measure(model, data)
    result = Sensitivity((0.5,), kinds=["unstructured"]).measure(model, data)
    # One set of weights for both layers, and the way from the embeddings.
    assert len(result.parts("unstructured")) == 7
    assert all(m.layer is None for m in result.measurements)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"shares": []}, r"`sensitivity.shares` to be one or more shares in \(0, 1\), got \[\]"),
        ({"shares": [0.5, 1.0]}, r"in \(0, 1\), got \[0.5, 1.0\]"),
        ({"shares": [0.0]}, r"in \(0, 1\), got \[0.0\]"),
        ({"kinds": []}, r"one or more of heads, neurons, unstructured, got \[\]"),
        ({"kinds": ["head"]}, r"one or more of heads, neurons, unstructured, got \['head'\]"),
        ({"max_drop": -0.1}, r"`sensitivity.max_drop` to be at least 0, got -0.1"),
        ({"num_rows": 0}, r"`sensitivity.num_rows` to be at least 1, got 0"),
        ({"num_samples": 0}, r"`sensitivity.num_samples` to be at least 1, got 0"),
    ],
)
def test_refuses(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Sensitivity(**arguments)


def test_the_files(result: SensitivityResult, tmp_path: Path) -> None:
    folder = tmp_path / "new/folder"
    prepare_folder(folder)
    files = write_files(result, folder, "run/best.ckpt")
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)
    table = json.loads(files["sensitivity.json"].read_text())
    assert table["checkpoint"] == "run/best.ckpt"
    assert (table["score"], table["rows"]) == (result.score, {"validation": 10})
    assert len(table["measurements"]) == 16 * len(SHARES)
    row = table["measurements"][0]
    assert row["drop"] == result.score - row["score"]
    assert table["plan"] == result.plan

    plan = str(files["plan.yaml"])
    names = [f"{name}.weight" for name in result.plan["unstructured"]]
    assert list(read_plan(plan, names).values()) == list(result.plan["unstructured"].values())
    heads, neurons = read_structure_plan(plan, 2)
    assert heads == [result.plan["heads"][layer] for layer in ("0", "1")]
    assert neurons == [result.plan["neurons"][layer] for layer in ("0", "1")]
    assert set(yaml.safe_load(files["plan.yaml"].read_text())) == {
        "heads",
        "neurons",
        "unstructured",
    }

    page = files["sensitivity.md"].read_text()
    measured = cell(result, "unstructured", QUERY, 0.25)
    line = next(line for line in page.splitlines() if "layer 1 attention.self.query" in line)
    assert line.split(" | ")[1:3] == ["1,024", f"{result.points(measured):.2f}"]
    assert "| layer 0 | 2 |" in page
    assert files["sensitivity.png"].read_bytes().startswith(b"\x89PNG")


def test_the_summary_names_the_extremes_and_the_next_commands(
    result: SensitivityResult, tmp_path: Path
) -> None:
    text = summary(result)
    dearest = max(
        result.parts("neurons").values(), key=lambda part: sum(result.points(m) or 0 for m in part)
    )
    assert f"most: layer {dearest[0].name}" in text
    assert "on 10 rows (validation)" in text
    plan = tmp_path / "my plan.yaml"
    commands = next_commands(result, ["a.yaml"], "best.ckpt", plan)
    assert commands[0] == (
        "glint fit --config a.yaml --model.model_name_or_path best.ckpt"
        " --trainer.callbacks+=callbacks.MagnitudePruning"
        f" '--trainer.callbacks.plan={plan}'"
    )
    assert "StructuredPruning" in commands[1]


def test_a_folder_that_cannot_be_written_is_refused_before_measuring(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"`sensitivity.output` to be a folder .*file/folder'"):
        prepare_folder(tmp_path / "file/folder")


def test_a_full_disk_leaves_the_file_before(
    result: SensitivityResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.yaml").write_text("before")
    write: Callable[[Path, bytes], int] = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        write(self, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"sensitivity.json', but: .*No space left"):
        write_files(result, tmp_path, "best.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]
    assert (tmp_path / "plan.yaml").read_text() == "before"
