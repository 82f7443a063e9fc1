"""Everything at once: structure, masks, integers and a teacher in one fit, to each artifact."""

import json
import signal
from pathlib import Path

import pytest
import torch

import lightning_app
from lightning_app.artifact.formats import FORMATS
from tests.end_to_end.command import differences, glint, logged_scalars, run_folder, tiny_fit
from tests.end_to_end.test_kill_and_resume import KILLER
from tests.lightning_app.artifact.tiny_checkpoint import needs

COMPOSED = """
trainer:
  callbacks+:
    - class_path: callbacks.StructuredPruning
      init_args: {heads: 0.5, neurons: 0.5}
    - class_path: callbacks.MagnitudePruning
      init_args:
        sparsity: 0.5
        schedule: {start: 4, end: 20, unit: steps, every_n_steps: 4}
    - class_path: callbacks.QuantizationAwareTraining
      init_args: {scheme: static, start: 8, freeze: 18, unit: steps}
    - class_path: callbacks.Distillation
      init_args: {teacher: self, hidden_states: 1.0}
"""
ENCODER = ".encoder.layer."
TEXTS = (["The film was good.", "It rained."], ["She liked it.", "He stayed at home all day."])


def _is_pruned(name: str, weight: torch.Tensor) -> bool:
    return ENCODER in name and weight.ndim == 2


@pytest.fixture(scope="module")
def runs(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The run folders of an undisturbed fit and of one that was killed in each phase."""
    root = tmp_path_factory.mktemp("composed")
    (root / "killer.py").write_text(KILLER)
    (root / "composed.yaml").write_text(COMPOSED)
    glint(*tiny_fit(tiny_model, root, "--name=dense"), cwd=root)
    start = run_folder(root, "dense") / "checkpoints/best.ckpt"
    fit = [*tiny_fit(start, root, "--config=composed.yaml"), "--checkpoint.every_n_steps=1"]
    glint(*fit, "--name=undisturbed", cwd=root)
    kill = ("--name=killed", "--ckpt_path=last", "--trainer.callbacks+=killer.Killer")
    for at in (2, 6, 11, 19, 26):
        killed = glint(*fit, *kill, f"--trainer.callbacks.at={at}", cwd=root, expect=None)
        assert killed.returncode == -signal.SIGKILL
    glint(*fit, "--name=killed", "--ckpt_path=last", cwd=root)
    return [run_folder(root, name) for name in ("undisturbed", "killed")]


@pytest.mark.slow
def test_killed_in_each_phase_equals_undisturbed(runs: list[Path]) -> None:
    for file in ("last.ckpt", "best.ckpt"):
        a, b = (torch.load(run / "checkpoints" / file) for run in runs)
        for part in ("state_dict", "optimizer_states", "architecture"):
            assert differences(a.get(part), b.get(part)) == []
    assert logged_scalars(runs[0]) == logged_scalars(runs[1])


@pytest.mark.slow
def test_each_part_is_in_the_checkpoint(runs: list[Path]) -> None:
    checkpoint = torch.load(runs[1] / "checkpoints/best.ckpt")
    weights = [w for n, w in checkpoint["state_dict"].items() if _is_pruned(n, w)]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros / sum(w.numel() for w in weights) == pytest.approx(0.5, abs=1e-3)
    assert all(n in str(checkpoint["architecture"]) for n in ("prune_structure", "quantization"))
    assert any("val/teacher_agreement" in tag for tag in logged_scalars(runs[1]))


@pytest.mark.slow
def test_each_artifact_answers_as_the_checkpoint_and_is_measured(
    runs: list[Path], tmp_path: Path
) -> None:
    for name in FORMATS:
        needs(name)
    checkpoint = runs[1] / "checkpoints/best.ckpt"
    answers = {}
    for name in FORMATS:
        options = (f"--ckpt_path={checkpoint}", f"--format={name}", f"--output={tmp_path / name}")
        glint("export", *options, "--no_measure")
        answers[name] = [answer["label"] for answer in lightning_app.load(tmp_path / name)(*TEXTS)]
    assert len({tuple(labels) for labels in answers.values()}) == 1

    folders = [str(tmp_path / name) for name in FORMATS]
    options = ("--rounds=5", "--seconds=0.2", "--batch_size=1", "--length=32", "--threads=1")
    # So small a network is slower in int8, and the command says so with its exit code.
    done = glint("benchmark", *folders, *options, f"--output={tmp_path}/b.json", expect=None)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads((tmp_path / "b.json").read_text())
    assert [artifact["name"] for artifact in found["artifacts"]] == list(FORMATS)
    assert not [text for text in found["failures"] if "not to be zero" in text]
    assert (tmp_path / "b.png").exists()
