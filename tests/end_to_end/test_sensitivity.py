"""`glint sensitivity` on a tiny fit, and the fits that it proposes."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml

from lightning_app.__main__ import main
from modules import TextClassifier
from modules.structure import layer_shapes
from tests.end_to_end.command import glint, run_folder, tiny_fit


@pytest.fixture(scope="module")
def run(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sensitivity")
    glint(*tiny_fit(tiny_model, root), "--trainer.max_epochs=1")
    return run_folder(root)


def arguments(run: Path, *more: str) -> list[str]:
    checkpoint = run / "checkpoints/best.ckpt"
    return [f"--config={run}/config.yaml", f"--ckpt_path={checkpoint}", *more]


def test_from_the_analysis_to_fits_by_its_plan(run: Path, tmp_path: Path) -> None:
    before = (run / "checkpoints/best.ckpt").read_bytes()
    options = {
        "sensitivity.shares": "[0.5,0.75]",
        "sensitivity.num_rows": 100,
        "sensitivity.num_samples": 32,
        "sensitivity.max_drop": 1.0,
        "trainer.enable_progress_bar": "true",
        "trainer.devices": 2,  # whatever the run was trained on, one device measures
    }
    more = (f"--{name}={value}" for name, value in options.items())
    done = glint("sensitivity", *arguments(run, *more))
    assert (run / "checkpoints/best.ckpt").read_bytes() == before
    table = json.loads((run / "sensitivity.json").read_text())
    assert table["rows"] == {"validation": 100}
    assert len(table["measurements"]) == (2 + 2 + 12) * 2
    assert "Sensitivity: 100%" in done.stderr
    assert f"mrpc: {100 * table['score']:.2f} points (val/score) on 100 rows" in done.stdout
    assert not list(run.glob("*.unfinished"))

    plan = yaml.safe_load((run / "plan.yaml").read_text())
    assert plan["heads"] == {0: 0.5, 1: 0.5}  # one of two; 0.75 would leave none
    assert plan["neurons"] == {0: 0.75, 1: 0.75}
    next_commands = [line for line in done.stdout.splitlines() if line.startswith("next: glint ")]
    models = []
    for version, line in enumerate(next_commands):
        glint(*shlex.split(line)[2:], f"--trainer.default_root_dir={tmp_path}")
        fitted = run_folder(tmp_path, version=version) / "checkpoints/best.ckpt"
        models.append(TextClassifier.load_from_checkpoint(fitted))
    sparse, small = models
    assert len(plan["unstructured"]) == 12
    for name, share in plan["unstructured"].items():
        weight = sparse.get_parameter(f"{name}.weight")
        assert int((weight == 0).sum()) == share * weight.numel()
    assert small.network is not None
    assert [(len(s.heads), s.intermediate_size) for s in layer_shapes(small.network)] == [
        (1, 12),
        (1, 12),
    ]


def test_it_agrees_with_validate_and_writes_where_it_is_told(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ("--sensitivity.kinds=[unstructured]", "--sensitivity.shares=[0.9]")
    done = glint("sensitivity", *arguments(run, *options, f"--sensitivity.output={output}"))
    table = json.loads((output / "sensitivity.json").read_text())
    assert {m["kind"] for m in table["measurements"]} == {"unstructured"}
    assert "Sensitivity:" not in done.stderr  # the run's config has no progress bar
    validated = glint("validate", *arguments(run))
    assert str(table["score"])[:8] in validated.stdout
    assert torch.load(run / "checkpoints/best.ckpt")["global_step"] == 10


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ckpt_path=null"], "Expected `--ckpt_path` for a sensitivity analysis, got None"),
        (["--sensitivity.max_drop=-1"], "Expected `sensitivity.max_drop` to be at least 0, got -1"),
        (["--sensitivity.shares=[1.5]"], "`sensitivity.shares` to be one or more shares in (0, 1)"),
        (["--sensitivity.kinds=[layers]"], "sensitivity.kinds"),
        (["--sensitivity.outptu=x"], "outptu"),
        (["--sensitivity.output=/dev/null/x"], "`sensitivity.output` to be a folder to write to"),
        (["--data.task_name=stsb"], "trained for task 'stsb' (regression)"),
    ],
)
def test_a_mistake_is_one_sentence(
    run: Path,
    options: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["glint"])
    assert main(["sensitivity", *arguments(run, *options)]) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("glint: "))
    assert sentence in line
