"""Quantization from the command line: killed and resumed, on two processes, used afterwards."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.end_to_end.command import (
    NO_DROPOUT,
    REPOSITORY,
    differences,
    glint,
    logged_scalars,
    run_folder,
    tiny_fit,
)
from tests.end_to_end.test_kill_and_resume import KILLER

TWO = ("--trainer.strategy=ddp", "--trainer.devices=2")
QUERY = "bert.encoder.layer.0.attention.self.query"
COMPOSED = """
trainer:
  callbacks+:
    - class_path: callbacks.QuantizationAwareTraining
      init_args: {scheme: static, start: 4, freeze: 18, unit: steps}
    - class_path: callbacks.MagnitudePruning
      init_args:
        sparsity: 0.5
        schedule: {start: 4, end: 20, unit: steps, every_n_steps: 4}
    - class_path: callbacks.Distillation
      init_args: {teacher: self, hidden_states: 1.0}
"""
WITNESS = '''
import torch
from lightning.pytorch import Callback

class Witness(Callback):
    """Writes what each process has at the end."""

    def __init__(self, folder: str):
        self.folder = folder

    def on_train_end(self, trainer, model):
        quantization = model.architecture.quantization.as_plain()
        weights = {k: w.clone() for k, w in model.state_dict().items()}
        path = f"{self.folder}/{trainer.global_rank}.pt"
        torch.save({"quantization": quantization, "weights": weights}, path)
'''


def config(folder: Path) -> str:
    (folder / "qat.yaml").write_text(COMPOSED)
    return "--config=qat.yaml"


@pytest.mark.slow
def test_killed_and_resumed_equals_undisturbed(tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    fit = [*tiny_fit(tiny_model, tmp_path, config(tmp_path)), "--checkpoint.every_n_steps=1"]
    glint(*fit, "--name=undisturbed", cwd=tmp_path)
    kill = ("--name=killed", "--ckpt_path=last", "--trainer.callbacks+=killer.Killer")
    for at in (3, 14, 25):  # before, during and after calibration
        killed = glint(*fit, *kill, f"--trainer.callbacks.at={at}", cwd=tmp_path, expect=None)
        assert killed.returncode == -signal.SIGKILL
    glint(*fit, "--name=killed", "--ckpt_path=last", cwd=tmp_path)

    folders = [run_folder(tmp_path, name) for name in ("undisturbed", "killed")]
    assert logged_scalars(folders[0]) == logged_scalars(folders[1])
    a, b = (torch.load(folder / "checkpoints/last.ckpt") for folder in folders)
    assert a["architecture"]["quantization"]["modules"][QUERY]["activation_range"] is not None
    for part in ("state_dict", "optimizer_states", "architecture"):
        assert differences(a[part], b[part]) == []
    best = [torch.load(folder / "checkpoints/best.ckpt") for folder in folders]
    for part in ("state_dict", "architecture"):
        assert differences(best[0][part], best[1][part]) == []


def test_two_processes_observe_the_same(tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "witness.py").write_text(WITNESS)
    fit = tiny_fit(tiny_model, tmp_path, *NO_DROPOUT, config(tmp_path))
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
    assert differences(first, second) == []
    # In float32 some rounding falls the other way; in float64 (tests/strategies) they are equal.
    for name, module in one["quantization"]["modules"].items():
        bounds = first["quantization"]["modules"][name]["activation_range"]
        if module["scheme"] == "static":
            assert bounds == pytest.approx(module["activation_range"], rel=0.02, abs=0.02)


def test_a_quantized_model_is_used_without_the_callback(tiny_model: str, tmp_path: Path) -> None:
    qat = f"--config={REPOSITORY}/configs/callbacks/qat_static.yaml"
    fitted = glint(*tiny_fit(tiny_model, tmp_path, qat)).stdout
    folder = run_folder(tmp_path)
    options = (f"--config={folder}/config.yaml", f"--ckpt_path={folder}/checkpoints/best.ckpt")
    bare = ("--trainer.callbacks=null", f"--model.model_name_or_path={tiny_model}")
    printed = [
        sorted(
            line
            for line in glint("validate", *options, *more).stdout.splitlines()
            if "val/" in line
        )
        for more in ((), bare)
    ]
    assert len(printed[0]) == 4
    assert printed[0] == printed[1]
    assert "best.ckpt" in fitted
    answer = glint("predict", *options, *bare, "--text=good", "--text_pair=fine").stdout
    assert "equivalent" in answer
