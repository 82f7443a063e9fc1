"""A whole fit under Lightning's XLA strategy: compiled, and the same as eager on the CPU."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightning_app.__main__ import main
from lightning_app.checkpoint import read_checkpoint
from tests.end_to_end.command import REPOSITORY

EPOCH, BATCH, ROWS = 10, 8, 76
"""Steps; the last batch of each epoch has four rows, and four that fill it up."""
GATES = {
    "class_path": "callbacks.StructuredPruning",
    "init_args": {
        "heads": 0.5,
        "neurons": 0.5,
        "schedule": {
            "class_path": "callbacks.SparsitySchedule",
            "init_args": {"start": 2, "end": 6, "unit": "steps", "every_n_steps": 2},
        },
    },
}
ROUNDING = {"class_path": "callbacks.QuantizationAwareTraining"}
WATCH = {"class_path": "tests.tpu.step_watch.StepWatch"}
FITS = {"gates": ([GATES], 1e-4), "gates and rounding": ([GATES, ROUNDING], 5e-3)}
"""Callbacks, and how near the losses are: what rounds the other way is a whole step apart."""
Roots = dict[str, Path]


def fit(
    accelerator: str, root: Path, callbacks: list[Any], epochs: int = 2, *more: str
) -> dict[str, Any]:
    """Two layers of MiniLM on the embedded task, without dropout."""
    root.mkdir(exist_ok=True)
    config = {
        "model": {
            "structure": {"num_layers": 2},
            "hidden_dropout": 0.0,
            "attention_dropout": 0.0,
            "learning_rate": 5e-5,
        },
        "data": {"init_args": {"train_batch_size": BATCH, "max_train_rows": ROWS}},
        "trainer": {
            "max_epochs": epochs,
            "limit_val_batches": 2,
            "log_every_n_steps": EPOCH,  # so that the first epoch has one, too
            "default_root_dir": str(root),
            "enable_progress_bar": False,
            "accelerator": accelerator,
            "callbacks+": [*callbacks, WATCH],
        },
    }
    (root / "fit.yaml").write_text(yaml.safe_dump(config))
    files = ("configs/demo.yaml", "configs/trainer/tpu.yaml", str(root / "fit.yaml"))
    assert main(["fit", *(f"--config={REPOSITORY / name}" for name in files), *more]) == 0
    steps: dict[str, Any] = json.loads((root / "steps.json").read_text())
    return steps


@pytest.fixture(scope="module", params=FITS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def roots(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Roots:
    return {name: tmp_path_factory.mktemp(name) for name in ("cpu", "tpu")}


@pytest.fixture(scope="module")
def steps(kind: str, roots: Roots) -> dict[str, Any]:
    return {name: fit(name, root, FITS[kind][0]) for name, root in roots.items()}


def checkpoint(root: Path, name: str) -> Path:
    return root / f"demo/version_0/checkpoints/{name}.ckpt"


def test_losses_are_those_of_the_cpu(kind: str, steps: dict[str, Any]) -> None:
    found, expected = (steps[name]["losses"] for name in ("tpu", "cpu"))
    assert len(set(found)) == 2 * EPOCH
    assert found == pytest.approx(expected, rel=0, abs=FITS[kind][1])


def test_nothing_is_compiled_after_the_first_epoch(steps: dict[str, Any]) -> None:
    compiled = [count["compiled"] for count in steps["tpu"]["counts"]]
    assert compiled[0] > 0
    assert compiled[EPOCH:] == [compiled[EPOCH]] * (EPOCH + 1)


def test_a_step_reads_nothing_from_the_device(steps: dict[str, Any]) -> None:
    """From the first of the second epoch on, when gates have closed."""
    read = [count["read"] for count in steps["tpu"]["counts"]]
    assert read[EPOCH : 2 * EPOCH] == [read[EPOCH]] * EPOCH


def test_the_same_is_pruned_and_rounded(kind: str, steps: dict[str, Any], roots: Roots) -> None:
    on_cpu, on_tpu = (read_checkpoint(checkpoint(roots[name], "best")) for name in ("cpu", "tpu"))
    assert on_tpu["architecture"] == on_cpu["architecture"]
    assert bool(on_tpu["architecture"].get("quantization")) == ("rounding" in kind)
    weights = on_tpu["state_dict"]
    assert {tensor.device.type for tensor in weights.values()} == {"cpu"}
    if kind == "gates":  # with rounding, which of two equals goes is a matter of chance
        torch.testing.assert_close(weights, on_cpu["state_dict"], rtol=0, atol=2e-3)


def test_the_run_goes_on_on_a_cpu(
    kind: str, steps: dict[str, Any], roots: Roots, tmp_path: Path
) -> None:
    """As that of the CPU does."""
    callbacks, nearness = FITS[kind]
    found = {
        name: fit("cpu", tmp_path / name, callbacks, 3, f"--ckpt_path={checkpoint(root, 'last')}")
        for name, root in roots.items()
    }
    assert len(found["cpu"]["losses"]) == EPOCH
    assert found["tpu"]["losses"] == pytest.approx(found["cpu"]["losses"], rel=0, abs=nearness)
