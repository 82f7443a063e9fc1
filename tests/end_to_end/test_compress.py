"""`glint compress`: from a task to an artifact, killed and changed on the way."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_app
from tests.end_to_end.command import REPOSITORY, differences, glint
from tests.lightning_app.artifact.tiny_checkpoint import needs

RECIPE = """
name: tiny
base: [{repository}/configs/demo.yaml]
target: {{parameters: {parameters}, max_drop: 1.0, runtime: onnx-int8, length: 32}}
stages:
  - {{name: teacher, kind: fit}}
  - {{name: shrink, kind: shrink, options: {{num_rows: 16, num_candidates: 3}}}}
  - name: distill
    kind: fit
    teacher: teacher
    config: [{repository}/configs/callbacks/distillation.yaml]
  - {{name: int8, kind: quantize, options: {{num_rows: 32}}}}
  - {{name: small, kind: export, options: {{measure: false}}}}
  - {{name: measure, kind: benchmark, options: {{rounds: 5, seconds: 0.1}}}}
"""
OPTIONS = {
    "data.max_train_rows": 160,
    "trainer.max_epochs": 2,
    "trainer.enable_model_summary": "false",
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "checkpoint.every_n_steps": 1,
}
PARAMETERS = 15_000


def arguments(model: str, root: Path, *more: str) -> list[str]:
    options = {"model.model_name_or_path": model, **OPTIONS}
    fits = [f"--{name}={value}" for name, value in options.items()]
    return ["compress", "--config=recipe.yaml", f"--root={root}", *fits, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("onnx-int8")
    here = tmp_path_factory.mktemp("compress")
    text = RECIPE.format(repository=REPOSITORY, parameters=PARAMETERS)
    (here / "recipe.yaml").write_text(text)
    return here


@pytest.fixture(scope="module")
def undisturbed(tiny_model: str, folder: Path) -> Path:
    done = glint(*arguments(tiny_model, folder / "a", "--no_estimate"), cwd=folder)
    assert "the artifact:" in done.stdout
    return folder / "a/tiny"


def result(root: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((root / "compress.json").read_text())
    return plain


def model_hash(root: Path) -> str:
    return hashlib.sha256((root / "artifacts/small/model.onnx").read_bytes()).hexdigest()


@pytest.mark.slow
def test_it_ends_with_an_artifact_that_meets_its_target(undisturbed: Path) -> None:
    found = result(undisturbed)
    (small,) = found["results"]
    assert small["met"]
    assert small["parameters"] <= PARAMETERS < found["dense"]["parameters"]
    assert small["score"] == pytest.approx(found["dense"]["score"] - small["drop"])
    assert [stage["name"] for stage in found["stages"]] == [
        *("teacher", "shrink", "distill", "int8", "small", "measure")
    ]
    answers = lightning_app.load(undisturbed / small["artifact"])(["He ate."], ["She did."])
    assert len(answers) == 1


@pytest.mark.slow
def test_run_again_it_skips_all_and_a_change_runs_what_builds_on_it(
    tiny_model: str, folder: Path, undisturbed: Path
) -> None:
    root = folder / "changed"  # the others compare with the undisturbed one
    shutil.copytree(undisturbed.parent, root)
    again = glint(*arguments(tiny_model, root, "--no_estimate"), cwd=folder)
    assert again.stdout.count("finished before") == 2 * 6  # in the plan, and on the way
    text = (folder / "recipe.yaml").read_text().replace("num_rows: 32", "num_rows: 24")
    (folder / "changed.yaml").write_text(text)
    changed = arguments(tiny_model, root, "--no_estimate")
    changed[1] = "--config=changed.yaml"
    done = glint(*changed, cwd=folder).stdout
    assert [f"{name} (" in done for name in ("teacher", "int8")] == [True, True]
    on_the_way = [line for line in done.splitlines() if line.startswith("[")]
    assert ["finished before" in line for line in on_the_way] == [True] * 3 + [False] * 3


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(
    tiny_model: str, folder: Path, undisturbed: Path
) -> None:
    draw = random.Random(3)
    command = [sys.executable, "-m", "lightning_app"]
    command += arguments(tiny_model, folder / "b", "--no_estimate")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(4):
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(4, 16))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    glint(*arguments(tiny_model, folder / "b", "--no_estimate"), cwd=folder)
    killed = folder / "b/tiny"
    assert model_hash(killed) == model_hash(undisturbed)
    stages = [{s["name"]: s for s in result(root)["stages"]} for root in (undisturbed, killed)]
    assert stages[0].keys() == stages[1].keys()
    for name in ("teacher", "shrink", "distill", "int8"):
        roots = zip((undisturbed, killed), stages, strict=True)
        a, b = (
            torch.load(root / of[name]["folder"] / of[name]["checkpoint"], weights_only=True)
            for root, of in roots
        )
        assert differences(a["state_dict"], b["state_dict"]) == []


@pytest.mark.slow
def test_the_plan_says_what_each_fit_does_and_computes_nothing_else(
    tiny_model: str, folder: Path
) -> None:
    done = glint(*arguments(tiny_model, folder / "c", "--plan"), cwd=folder)
    assert "1. teacher (fit): 20 steps" in done.stdout
    assert "3. distill (fit from shrink, taught by teacher, parameters 15000): 20" in done.stdout
    assert "weight of soft_targets" in done.stdout
    assert not list((folder / "c/tiny").glob("0*"))


def test_two_at_once_are_refused(tiny_model: str, folder: Path) -> None:
    from filelock import FileLock

    (folder / "d/tiny").mkdir(parents=True)
    with FileLock(folder / "d/tiny/.lock"):
        done = glint(*arguments(tiny_model, folder / "d", "--no_estimate"), cwd=folder, expect=2)
    assert "another process runs this recipe" in done.stderr


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--trainer.default_root_dir=x",), "`--root` in place of `--trainer.default_root_dir=x`"),
        (("--stages=[{name: a, kind: export}]",), "a stage of kind `shrink`, which"),
        (("--target.speedup=3",), "one of `target.speedup`"),
    ],
)
def test_mistakes_are_one_sentence(
    tiny_model: str, folder: Path, more: tuple[str, ...], sentence: str
) -> None:
    done = glint(*arguments(tiny_model, folder / "e", *more), cwd=folder, expect=2)
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
