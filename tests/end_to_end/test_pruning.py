"""Pruning from the command line: killed and resumed, on two processes, and used afterwards."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.end_to_end.command import (
    NO_DROPOUT,
    differences,
    glint,
    logged_scalars,
    run_folder,
    tiny_fit,
)
from tests.end_to_end.test_kill_and_resume import KILLER

SCHEDULE = "schedule: {start: 4, end: 20, unit: steps, every_n_steps: 4}"
# One callback of each kind, each on its own weights of the two layers.
WEIGHTS = f"""
trainer:
  callbacks+:
    - class_path: callbacks.MagnitudePruning
      init_args: {{sparsity: 0.5, scope: global, include: ["*.layer.0.*"], {SCHEDULE}}}
    - class_path: callbacks.MovementPruning
      init_args: {{sparsity: 0.75, include: ["*.layer.1.attention.*"], {SCHEDULE}}}
    - class_path: callbacks.SecondOrderPruning
      init_args:
        sparsity: 0.75
        num_gradients: 8
        block_size: 8
        include: ["*.layer.1.intermediate.*", "*.layer.1.output.*"]
        {SCHEDULE}
"""
GATES = f"""
trainer:
  callbacks+:
    - class_path: callbacks.StructuredPruning
      init_args: {{heads: 0.5, neurons: 0.5, {SCHEDULE}}}
"""
WITNESS = '''
import torch
from lightning.pytorch import Callback

class Witness(Callback):
    """Writes what each process has at the end."""

    def __init__(self, folder: str):
        self.folder = folder

    def on_train_end(self, trainer, model):
        masks = {k: m for c in trainer.callbacks for k, m in getattr(c, "masks", {}).items()}
        weights = {k: w.clone() for k, w in model.state_dict().items()}
        torch.save({"masks": masks, "weights": weights}, f"{self.folder}/{trainer.global_rank}.pt")
'''
TWO = ("--trainer.strategy=ddp", "--trainer.devices=2")


@pytest.mark.slow
@pytest.mark.parametrize("config", [WEIGHTS, GATES], ids=["weights", "gates"])
def test_killed_and_resumed_equals_undisturbed(
    config: str, tiny_model: str, tmp_path: Path
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    (tmp_path / "pruning.yaml").write_text(config)
    fit = [*tiny_fit(tiny_model, tmp_path, "--config=pruning.yaml"), "--checkpoint.every_n_steps=1"]
    glint(*fit, "--name=undisturbed", cwd=tmp_path)
    kill = ("--name=killed", "--ckpt_path=last", "--trainer.callbacks+=killer.Killer")
    for at in (3, 14, 25):  # before, during and after
        killed = glint(*fit, *kill, f"--trainer.callbacks.at={at}", cwd=tmp_path, expect=None)
        assert killed.returncode == -signal.SIGKILL
    glint(*fit, "--name=killed", "--ckpt_path=last", cwd=tmp_path)

    folders = [run_folder(tmp_path, name) for name in ("undisturbed", "killed")]
    a, b = (torch.load(folder / "checkpoints/last.ckpt") for folder in folders)
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert differences(a[part], b[part]) == []
    pruning = [
        {key: state for key, state in c["callbacks"].items() if "Pruning" in key} for c in (a, b)
    ]
    assert pruning[0]
    assert differences(*pruning) == []
    assert logged_scalars(folders[0]) == logged_scalars(folders[1])
    best = [torch.load(folder / "checkpoints/best.ckpt")["state_dict"] for folder in folders]
    assert differences(*best) == []


@pytest.mark.parametrize("config", [WEIGHTS, GATES], ids=["weights", "gates"])
def test_two_processes_prune_as_one_does(config: str, tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "witness.py").write_text(WITNESS)
    (tmp_path / "pruning.yaml").write_text(config)
    fit = tiny_fit(tiny_model, tmp_path, *NO_DROPOUT, "--config=pruning.yaml")
    witness = "--trainer.callbacks+=witness.Witness"
    seen: dict[str, list[Any]] = {}
    for name, more in (("one", ()), ("two", TWO)):
        (tmp_path / name).mkdir()
        batch = 16 if name == "one" else 8
        options = (f"--name={name}", f"--data.train_batch_size={batch}", *more)
        folder = f"--trainer.callbacks.folder={tmp_path / name}"
        glint(*fit, witness, folder, *options, cwd=tmp_path)
        seen[name] = [torch.load(path) for path in sorted((tmp_path / name).glob("*.pt"))]
    one, (first, second) = seen["one"][0], seen["two"]
    assert one["masks"]
    assert differences(first, second) == []
    assert differences(one["masks"], first["masks"]) == []
    # An inverted Fisher matrix magnifies the rounding of the gradients that it is made of.
    tolerance = 1e-4 if config == WEIGHTS else 2e-6
    for name, weights in one["weights"].items():
        torch.testing.assert_close(first["weights"][name], weights, rtol=1e-5, atol=tolerance)


def test_one_shot_structure_is_used_without_the_callback(tiny_model: str, tmp_path: Path) -> None:
    fit = tiny_fit(tiny_model, tmp_path)
    glint(*fit, "--name=dense")
    dense = run_folder(tmp_path, "dense")
    pruning = "{class_path: callbacks.StructuredPruning, init_args: {heads: 0.5, neurons: 0.5}}"
    start = f"--model.model_name_or_path={dense}/checkpoints/best.ckpt"
    glint(*fit, "--name=pruned", start, f"--trainer.callbacks+={pruning}")
    folder = run_folder(tmp_path, "pruned")
    sizes = [
        json.loads((run / "metrics.json").read_text())["parameters"] for run in (dense, folder)
    ]
    assert sizes[1] < sizes[0]
    options = (f"--config={folder}/config.yaml", f"--ckpt_path={folder}/checkpoints/best.ckpt")
    bare = ("--trainer.callbacks=null", f"--model.model_name_or_path={tiny_model}")
    for more in ((), bare):
        printed = glint("validate", *options, *more).stdout
        assert "val/score" in printed
    answer = glint("predict", *options, "--text=good", "--text_pair=fine").stdout
    assert "equivalent" in answer


def test_a_run_that_ends_before_its_target_has_no_best(tiny_model: str, tmp_path: Path) -> None:
    options = "{class_path: callbacks.MagnitudePruning, init_args: {sparsity: 0.5}}"
    result = glint(
        *tiny_fit(tiny_model, tmp_path, f"--trainer.callbacks+={options}"),
        "--trainer.max_time=00:00:00:00",
    )
    assert "best.ckpt" not in result.stdout
    assert not (run_folder(tmp_path) / "checkpoints/best.ckpt").exists()
