"""Pruning callbacks that follow a plan of `glint sensitivity`."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import Tensor

from callbacks import (
    MagnitudePruning,
    MovementPruning,
    SecondOrderPruning,
    SparsitySchedule,
    StructuredPruning,
)
from callbacks.sparsity_plan import read_plan, read_structure_plan
from lightning_app.errors import InputError
from modules.structure import layer_shapes
from tests.tiny_fit import fit

STEPS = SparsitySchedule(start=1, end=5, unit="steps", every_n_steps=2)
LINEARS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
NAMES = [f"network.bert.encoder.layer.{layer}.{name}" for layer in range(2) for name in LINEARS]
SHARES = dict(
    zip(NAMES, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.25, 0.0], strict=True)
)


def written(tmp_path: Path, plan: Any) -> str:
    path = tmp_path / "plan.yaml"
    path.write_text(plan if isinstance(plan, str) else yaml.safe_dump(plan))
    return str(path)


def zeros_by_module(trainer: Any) -> dict[str, int]:
    weights: dict[str, Tensor] = dict(trainer.lightning_module.state_dict())
    return {name: int((weights[f"{name}.weight"] == 0).sum()) for name in NAMES}


def sizes(trainer: Any) -> dict[str, int]:
    return {
        name: trainer.lightning_module.get_parameter(f"{name}.weight").numel() for name in NAMES
    }


@pytest.mark.parametrize("kind", [MagnitudePruning, MovementPruning, SecondOrderPruning])
def test_each_weight_gets_its_share(
    kind: Any, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"schedule": STEPS, "scope": "layer"}
    if kind is SecondOrderPruning:
        options |= {"num_gradients": 8, "block_size": 8, "gradient_batch_size": 2}
    trainer = fit(
        tiny_model, reviews, kind(plan=written(tmp_path, {"unstructured": SHARES}), **options)
    )
    counts = sizes(trainer)
    assert zeros_by_module(trainer) == {
        name: int(share * counts[name] + 0.5) for name, share in SHARES.items()
    }


@pytest.mark.parametrize("sparsity", [0.2, 0.5, 0.9])
def test_with_a_sparsity_the_densities_are_scaled(
    sparsity: float, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    plan = written(tmp_path, {"unstructured": SHARES})
    trainer = fit(tiny_model, reviews, MagnitudePruning(sparsity, plan=plan, schedule=STEPS))
    counts, zeros = sizes(trainer), zeros_by_module(trainer)
    assert sum(zeros.values()) == pytest.approx(sparsity * sum(counts.values()), abs=len(NAMES) / 2)
    factors = {
        round((1 - zeros[name] / counts[name]) / (1 - share), 2)
        for name, share in SHARES.items()
        if zeros[name]
    }
    assert max(factors) - min(factors) < 0.02


def test_a_callback_reads_the_plan_anew_in_each_fit(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    for share in (0.5, 0.25):
        plan = written(tmp_path, {"unstructured": dict.fromkeys(NAMES, share)})
        trainer = fit(tiny_model, reviews, MagnitudePruning(plan=plan, schedule=STEPS))
        assert zeros_by_module(trainer) == {n: share * c for n, c in sizes(trainer).items()}


@pytest.mark.parametrize("schedule", [None, STEPS], ids=["at_once", "gradual"])
@pytest.mark.parametrize(
    ("plan", "shapes"),
    [
        ({"heads": {0: 0.5, 1: 0.0}, "neurons": {0: 0.25, 1: 0.75}}, [(1, 36), (2, 12)]),
        ({"heads": {"1": 0.5, "0": 0.0}}, [(2, 48), (1, 48)]),
        ({"neurons": {0: 0.0, 1: 0.9}, "unstructured": SHARES}, [(2, 48), (2, 5)]),
    ],
)
def test_each_layer_loses_its_share(
    plan: Any,
    shapes: list[tuple[int, int]],
    schedule: SparsitySchedule | None,
    tiny_model: str,
    reviews: Path,
    tmp_path: Path,
) -> None:
    callback = StructuredPruning(plan=written(tmp_path, plan), num_samples=8, schedule=schedule)
    model: Any = fit(tiny_model, reviews, callback).lightning_module
    assert [(len(s.heads), s.intermediate_size) for s in layer_shapes(model.network)] == shapes


@pytest.mark.parametrize(
    ("plan", "match"),
    [
        ({"heads": {0: 0.5}}, r"each of the network's 2 layers, but 'heads' in .* has 1: 0; write"),
        ({"heads": {0: 0.5, 1: 0.5, 2: 0.5}}, r"network's 2 layers, but 'heads' .* has 3: 0, 1, 2"),
        ({"heads": {0: 0.9, 1: 0.0}}, r"at least one of the 2 heads of layer 0, got 0.9.*most 0.5"),
        ({"neurons": {0: 0.0, 1: 0.0}}, r"to remove heads or neurons, but all shares in .* are 0"),
        ({"neurons": {0: 1.0, 1: 0.0}}, r"mapping 'neurons' from names to shares in \[0, 1\)"),
        ({"unstructured": SHARES}, r"mapping 'heads' from names to shares"),
        ("no plan", r"mapping 'heads' from names to shares"),
        ("a: [", r"Expected `plan` to be YAML, but .* is not: while parsing"),
    ],
)
def test_a_structure_plan_that_does_not_fit_is_refused_before_training(
    plan: Any, match: str, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    callback = StructuredPruning(plan=written(tmp_path, plan), num_samples=8)
    with pytest.raises(InputError, match=match):
        fit(tiny_model, reviews, callback)


@pytest.mark.parametrize(
    ("shares", "match"),
    [
        (dict.fromkeys(NAMES[1:], 0.5), r"a share for each weight .*layer.0.attention.self.query"),
        (dict.fromkeys(NAMES, 0.0), r"to prune something, but all shares in .* are 0; set `spars"),
        (dict.fromkeys(NAMES, "much"), r"mapping 'unstructured' from names to shares in \[0, 1\)"),
    ],
)
def test_a_weight_plan_that_does_not_fit_is_refused_before_training(
    shares: Any, match: str, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    late = SparsitySchedule(start=4, end=5, unit="steps")
    callback = MagnitudePruning(plan=written(tmp_path, {"unstructured": shares}), schedule=late)
    with pytest.raises(InputError, match=match):
        fit(tiny_model, reviews, callback)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")
    for read in (lambda: read_plan(missing, []), lambda: read_structure_plan(missing, 2)):
        with pytest.raises(InputError, match=r"file of `glint sensitivity`, got '.*none.yaml'"):
            read()


def test_names_of_weights_and_modules_lead_to_the_same_share(tmp_path: Path) -> None:
    path = written(tmp_path, {"unstructured": {"network.a": 0.25, "network.b": 0}})
    shares = read_plan(path, ["network.b.weight", "network.a.weight"])
    assert shares == {"network.b.weight": 0.0, "network.a.weight": 0.25}
