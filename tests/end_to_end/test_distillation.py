"""Distillation from the command line: killed and resumed, on two processes, and used afterwards."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from tests.end_to_end.command import differences, glint, logged_scalars, run_folder, tiny_fit
from tests.end_to_end.test_kill_and_resume import KILLER
from tests.end_to_end.test_pruning import NO_DROPOUT, TWO
from tests.tiny_bert import save_bert

DISTILLATION = """
trainer:
  callbacks+:
    - class_path: callbacks.Distillation
      init_args:
        teacher: {teacher}
        hidden_states: 1.0
        relations: 1.0
        cache: {cache}
        cache_dir: {folder}
        schedules:
          hidden_states: {{initial: 1.0, final: 0.0, start: 0.5}}
"""
PRUNING = """
    - class_path: callbacks.MagnitudePruning
      init_args: {sparsity: 0.5, schedule: {start: 4, end: 20, unit: steps, every_n_steps: 4}}
"""


@pytest.fixture(scope="module")
def teacher(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of a wider network, trained on the same task."""
    root = tmp_path_factory.mktemp("teacher")
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    start = save_bert(root / "start", tokenizer, seed=3, **sizes)
    glint(*tiny_fit(start, root))
    return str(run_folder(root) / "checkpoints/best.ckpt")


def _configure(folder: Path, teacher: str, cache: bool, more: str = "") -> str:
    file = folder / "distillation.yaml"
    cached = str(cache).lower()
    file.write_text(
        DISTILLATION.format(teacher=teacher, cache=cached, folder=folder / "cache") + more
    )
    return f"--config={file}"


@pytest.mark.slow
@pytest.mark.parametrize("cache", [False, True], ids=["live", "cached"])
def test_killed_and_resumed_equals_undisturbed(
    cache: bool, tiny_model: str, teacher: str, tmp_path: Path
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    config = _configure(tmp_path, teacher, cache, PRUNING)
    fit = [*tiny_fit(tiny_model, tmp_path, config), "--checkpoint.every_n_steps=1"]
    glint(*fit, "--name=undisturbed", cwd=tmp_path)
    kill = ("--name=killed", "--ckpt_path=last", "--trainer.callbacks+=killer.Killer")
    for at in (7, 18):
        killed = glint(*fit, *kill, f"--trainer.callbacks.at={at}", cwd=tmp_path, expect=None)
        assert killed.returncode == -signal.SIGKILL
    glint(*fit, "--name=killed", "--ckpt_path=last", cwd=tmp_path)
    folders = [run_folder(tmp_path, name) for name in ("undisturbed", "killed")]
    a, b = (torch.load(folder / "checkpoints/last.ckpt") for folder in folders)
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert differences(a[part], b[part]) == []
    assert "companions.distillation.weight" in a["state_dict"]
    assert logged_scalars(folders[0]) == logged_scalars(folders[1])


@pytest.mark.parametrize("cache", [False, True], ids=["live", "cached"])
def test_two_processes_learn_as_one_does(
    cache: bool, tiny_model: str, teacher: str, tmp_path: Path
) -> None:
    config = _configure(tmp_path, teacher, cache)
    fit = tiny_fit(tiny_model, tmp_path, *NO_DROPOUT, config)
    glint(*fit, "--name=one", "--data.train_batch_size=16")
    glint(*fit, "--name=two", "--data.train_batch_size=8", *TWO)
    folders = [run_folder(tmp_path, name) for name in ("one", "two")]
    one, two = (torch.load(f / "checkpoints/last.ckpt")["state_dict"] for f in folders)
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-5, atol=1e-5)
    histories: list[Any] = [
        json.loads((f / "metrics.json").read_text())["history"] for f in folders
    ]
    agreement = [[e["val/teacher_agreement"] for e in history] for history in histories]
    assert agreement[0] == agreement[1]
    assert 0 < agreement[0][-1] <= 1


def test_the_student_is_used_without_teacher_or_callback(
    tiny_model: str, teacher: str, tmp_path: Path
) -> None:
    config = _configure(tmp_path, teacher, cache=False)
    glint(*tiny_fit(tiny_model, tmp_path, config))
    folder = run_folder(tmp_path)
    checkpoint = f"--ckpt_path={folder}/checkpoints/best.ckpt"
    bare = (f"--config={folder}/config.yaml", "--trainer.callbacks=null")
    assert "val/score" in glint("validate", *bare, checkpoint).stdout
    assert "equivalent" in glint("predict", *bare, checkpoint, "--text=good").stdout
    scalars = logged_scalars(folder)
    for name in ("task", "soft_targets", "hidden_states", "relations"):
        assert f"train/{name}_loss" in scalars
    assert {"val/teacher_agreement", "val/teacher_divergence"} <= set(scalars)


def test_unlabelled_rows_want_a_teacher(tiny_model: str, teacher: str, tmp_path: Path) -> None:
    rest = ("--data.max_train_rows=40", "--data.unlabelled=rest", "--trainer.max_steps=4")
    refused = glint(*tiny_fit(tiny_model, tmp_path, *rest), expect=2)
    assert "callbacks.Distillation" in refused.stderr
    glint(*tiny_fit(tiny_model, tmp_path, *rest, _configure(tmp_path, teacher, cache=True)))
