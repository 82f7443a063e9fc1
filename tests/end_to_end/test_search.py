"""`glint search`, with real fits of a tiny model."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightning_app.search.trial_run import TrialRun
from tests.end_to_end.command import REPOSITORY, differences, glint, run_folder
from tests.end_to_end.test_compress import RECIPE
from tests.lightning_app.artifact.tiny_checkpoint import needs

GRID: dict[str, Any] = {
    "name": "tiny",
    "base": [str(REPOSITORY / "configs/demo.yaml")],
    "sampler": "grid",
    "folds": 2,
    "heartbeat": 1,
    "space": {
        "model.learning_rate": {"choices": [1e-2, 1e-4]},
        "data.train_batch_size": {"choices": [8, 16]},
    },
}
OPTIONS = {
    "data.max_train_rows": 160,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
}
OF_DEMO: dict[str, Any] = {
    "base": None,
    "recipe": str(REPOSITORY / "configs/recipes/demo.yaml"),
}
SHARED = {"shape": "trapezoidal", "warmup_epochs": 0.5}


def arguments(model: str, folder: Path, search: dict[str, Any], *more: str) -> list[str]:
    file = folder / "search.yaml"
    file.write_text(yaml.safe_dump({**search, "root": str(folder / "runs")}))
    options = {"model.model_name_or_path": model, **OPTIONS}
    return ["search", f"--config={file}", *(f"--{k}={v}" for k, v in options.items()), *more]


def result(folder: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((folder / "runs/tiny/search.json").read_text())
    return plain


def hparams_tab(run: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Numbers among the options, and the metrics, that TensorBoard's HParams tab shows of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(run))
    events.Reload()
    tab = events.PluginTagToContent("hparams")
    started = HParamsPluginData.FromString(tab["_hparams_/session_start_info"])
    experiment = HParamsPluginData.FromString(tab["_hparams_/experiment"]).experiment
    options = {k: v.number_value for k, v in started.session_start_info.hparams.items()}
    shown = [info.name.tag for info in experiment.metric_infos]
    return options, {tag: events.Scalars(tag)[-1].value for tag in shown}


@pytest.fixture(scope="module")
def grid(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    done = glint(*arguments(tiny_model, folder, GRID, "--workers=2"), cwd=folder)
    assert "looked at once: val/score" in done.stdout
    assert done.stdout.count("trial ") >= 4
    return folder


@pytest.mark.slow
def test_a_grid_ends_with_a_configuration_that_fit_takes(tiny_model: str, grid: Path) -> None:
    found = result(grid)
    assert (found["finished"], found["stopped"], found["trained_epochs"]) == (4, 0, 4 * 2)
    pairs = {(c["values"]["model.learning_rate"], c["values"]["data.train_batch_size"])
             for c in found["candidates"]}  # fmt: skip
    assert pairs == {(1e-2, 8), (1e-2, 16), (1e-4, 8), (1e-4, 16)}
    for candidate in found["candidates"]:
        assert candidate["objectives"][0] == pytest.approx(sum(candidate["scores"]) / 2)
    best = max(c["objectives"][0] for c in found["candidates"])
    assert found["best"]["objectives"] == [best]
    folder = grid / "runs/tiny"
    for name in ("history.png", "parallel.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    config = yaml.safe_load((folder / "best.yaml").read_text())
    assert config["model"]["learning_rate"] == found["best"]["values"]["model.learning_rate"]
    # The winner's score is that of the fit which anyone can run with best.yaml.
    glint("fit", f"--config={folder / 'best.yaml'}", "--name=again",
          f"--trainer.default_root_dir={grid}", cwd=grid)  # fmt: skip
    again = json.loads((run_folder(grid, "again") / "metrics.json").read_text())
    assert again["last"]["val/score"] == found["winner"]["score"]
    assert len(again["history"]) == 1
    assert list(folder.glob("trial-*/fold-*/*/version_0/events.out.tfevents*"))
    assert not list(folder.glob("trial-*/fold-*/*/version_0/checkpoints/*"))
    for fit in folder.glob("trial-*/fold-*/fit/version_0"):
        scores = json.loads((fit / "metrics.json").read_text())["last"]
        values = yaml.safe_load((fit / "config.yaml").read_text())
        hparams, metrics = hparams_tab(fit)
        assert hparams["model.learning_rate"] == values["model"]["learning_rate"]
        batch_size = values["data"]["init_args"]["train_batch_size"]
        assert hparams["data.train_batch_size"] == batch_size
        assert metrics["hp/val/score"] == pytest.approx(scores["val/score"])


@pytest.mark.slow
def test_run_again_it_has_nothing_to_do(tiny_model: str, grid: Path) -> None:
    before = result(grid)
    done = glint(*arguments(tiny_model, grid, GRID), cwd=grid)
    assert "4 of 4 trials are done already" in done.stdout
    assert result(grid) == before


@pytest.mark.slow
def test_another_search_of_that_name_is_refused(tiny_model: str, grid: Path) -> None:
    done = glint(*arguments(tiny_model, grid, {**GRID, "folds": 3}), cwd=grid, expect=2)
    assert "but its `folds`, `folds_used` differ; choose another `--name`" in done.stderr


@pytest.mark.slow
def test_killed_in_a_trial_it_goes_on_and_ends_the_same(
    tiny_model: str, grid: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "lightning_app"]
    command += arguments(tiny_model, tmp_path, GRID, "--no_winner", "--checkpoint.every_n_steps=1")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    checkpoints = tmp_path / "runs/tiny/trial-0/fold-1"
    while process.poll() is None and not list(checkpoints.glob("*/*/checkpoints/last.ckpt")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with sqlite3.connect(tmp_path / "runs/tiny/study.db") as database:
        states = [row[0] for row in database.execute("select state from trials")]
    database.close()
    assert "COMPLETE" not in states
    done = glint(*command[3:], cwd=tmp_path)
    assert "4 trials finished" in done.stdout
    scores = [
        sorted((*c["values"].values(), *c["scores"]) for c in result(folder)["candidates"])
        for folder in (grid, tmp_path)
    ]
    assert scores[0] == scores[1]


def fit_with_the_same_kernels(arguments: Any, place: Path) -> float:
    """A fit chooses them by a race when there is no choice in Glint's cache yet."""
    code = (
        "import sys, lightning_app.matmul as m; m.onednn_is_better = lambda: False;"
        " from lightning_app.__main__ import main; sys.exit(main())"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, check=False, cwd=place, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return 0.0


def trained(folder: Path, config: dict[str, Any], shares_prefix: bool) -> TrialRun:
    return TrialRun(config, folder, 2, 1, shares_prefix, fit_with_the_same_kernels)


def fit_config(model: str, schedule: dict[str, Any], epochs: int) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((REPOSITORY / "configs/demo.yaml").read_text())
    config["model"] = {"model_name_or_path": model, "learning_rate": 1e-3}
    config["data"]["init_args"] |= {"max_train_rows": 96}
    config["trainer"] = {
        "max_epochs": epochs,
        "accelerator": "cpu",
        "precision": "32-true",
        "callbacks": [{"class_path": "callbacks.LearningRateSchedule", "init_args": schedule}],
    }
    return config


@pytest.mark.slow
@pytest.mark.parametrize("shares_prefix", [True, False], ids=["branches", "pauses"])
def test_a_rung_is_the_fit_of_that_length_bit_for_bit(
    tiny_model: str, tmp_path: Path, shares_prefix: bool
) -> None:
    schedule = SHARED if shares_prefix else {"shape": "linear"}
    config = fit_config(tiny_model, schedule, 3)
    run = trained(tmp_path / "trial", config, shares_prefix)
    rungs = [run.rung(epochs, is_last=epochs == 3) for epochs in (2, 3)]
    # Branches: 1 epoch of trunk and 1 of the branch, then again; elsewhere 2 and then 1 more.
    assert [rung.trained for rung in rungs] == ([2, 2] if shares_prefix else [2, 1])
    file = tmp_path / "direct.yaml"
    file.write_text(yaml.safe_dump(config))
    options = ("--data.num_folds=2", f"--trainer.default_root_dir={tmp_path}", "--name=direct")
    fit_with_the_same_kernels(["fit", f"--config={file}", *options], tmp_path)
    direct = run_folder(tmp_path, "direct")
    metrics = json.loads((direct / "metrics.json").read_text())
    assert rungs[-1].score == metrics["last"]["val/score"]
    assert rungs[-1].checkpoint is not None
    states = [
        torch.load(path, weights_only=True)["state_dict"]
        for path in (direct / "checkpoints/last.ckpt", rungs[-1].checkpoint)
    ]
    assert differences(*states) == []
    again = trained(tmp_path / "trial", config, shares_prefix)
    assert again.rung(3, is_last=True).scores == rungs[-1].scores  # read, not trained


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"space": {"model.learning_rat": {"choices": [1]}}}, "near it are model.learning_rate"),
        ({"space": {"model.learning_rate": {"low": 2, "high": 1}}}, "got low=2, high=1"),
        ({"space": {"model.learning_rate": {"choices": ["fast"]}}}, "learning_rate"),
        ({"space": {"data.train_batch_size": {"choices": [0]}}}, "to be at least 1, got 0"),
        ({"space": {}}, "at least one key"),
        ({"space": {"target.speedup": {"choices": [2]}}}, "got 'target.speedup'"),
        ({"base": None}, "either `base`, the YAML files of a fit, or `recipe`"),
        ({"recipe": "recipe.yaml"}, "got both"),
        (OF_DEMO | {"space": {"stages.distil.seed": {"choices": [1]}}}, "near it are stages.dis"),
        (OF_DEMO | {"space": {"stages.shrink.rows": {"choices": [1]}}}, "are stages.shrink"),
        (OF_DEMO | {"space": {"target.speed": {"choices": [1]}}}, "near it are target.speedup"),
        (OF_DEMO | {"space": {"target.speedup": {"choices": [0]}}}, "to be above 0, got 0"),
        (OF_DEMO | {"space": {"target.speedup": {"choices": [2]}}, "pruner": "asha"}, "`recipe`"),
        ({"sampler": "annealing"}, "sampler"),
        (
            {"sampler": "grid", "space": {"model.learning_rate": {"low": 0.1, "high": 0.2}}},
            "a grid",
        ),
        ({"objectives": ["latency_ms"]}, "`objectives` to be `score` and"),
        ({"objectives": ["score", "size_mb"], "pruner": "median"}, "`pruner: none` with several"),
        ({"folds": 1, "folds_used": 1}, "`folds` to be at least 2, got 1"),
        ({"folds_used": 3}, "`folds_used` to be at most `folds`, got 3 of 2"),
        ({"share_prefix": True}, "`trainer.max_epochs` in the space"),
        ({"name": "a/b"}, "`name` of letters"),
        ({"storage": "oracle"}, "`--storage` to be a database"),
    ],
)
def test_mistakes_are_one_sentence(
    tiny_model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], sentence: str,
) -> None:  # fmt: skip
    from lightning_app.__main__ import main

    monkeypatch.setattr(sys, "argv", ["glint"])
    assert main(arguments(tiny_model, tmp_path, {**GRID, **change})) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert sentence in said[-1]
    assert sum(line.startswith("glint: ") for line in said) == 1


@pytest.mark.slow
def test_trials_of_a_recipe_share_its_teacher_and_end_with_an_artifact(
    tiny_model: str, tmp_path: Path
) -> None:
    needs("onnx-int8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(repository=REPOSITORY, parameters=15_000))
    search = {
        "name": "tiny",
        "recipe": str(tmp_path / "recipe.yaml"),
        "sampler": "grid",
        "objectives": ["score", "latency_ms", "parameters"],
        "folds": 2,
        "folds_used": 1,
        "space": {
            "stages.distill.model.learning_rate": {"choices": [1e-2, 1e-4]},
            "target.parameters": {"choices": [15_000]},
        },
    }
    done = glint(*arguments(tiny_model, tmp_path, search), cwd=tmp_path)
    folder = tmp_path / "runs/tiny"
    found = result(tmp_path)
    assert (found["finished"], found["trained_epochs"]) == (2, 1 + 2)  # the teacher once
    for candidate in found["candidates"]:
        score, latency, parameters = candidate["objectives"]
        assert candidate["scores"] == [score]
        assert latency > 0
        assert parameters <= 15_000
    home = folder / "recipes-0/fold-0/recipe"
    assert len(list(home.glob("*-teacher-*/fit/version_0/checkpoints/best.ckpt"))) == 1
    assert len(list(home.glob("*-distill-*/fit/version_0/events.out.tfevents*"))) == 2
    assert not list(home.glob("*-distill-*/fit/version_0/checkpoints/*"))
    rows = next(home.glob("*-teacher-*/fit/version_0/config.yaml"))
    assert yaml.safe_load(rows.read_text())["data"]["init_args"]["num_folds"] == 2
    options, metrics = hparams_tab(folder / "trial-0")
    assert options["stages.distill.model.learning_rate"] in (1e-2, 1e-4)
    assert metrics["hp/score"] == pytest.approx(found["candidates"][0]["objectives"][0])
    # The winner is the recipe on the whole training set, which best.yaml is of.
    artifact = Path(found["winner"]["artifact"])
    assert f"next: glint predict --artifact {artifact}" in done.stdout
    assert (artifact / "model.onnx").is_file()
    best = yaml.safe_load((folder / "best.yaml").read_text())
    won = json.loads((Path(found["winner"]["recipe"]) / "compress.json").read_text())
    assert won["chosen"] == "small"
    assert found["winner"]["score"] == won["results"][0]["score"]
    assert best["stages"][0]["options"]["data"]["init_args"].get("num_folds") is None
    page = tmp_path / "report"
    glint("report", str(folder), f"--output={page}", cwd=tmp_path)
    assert "stages.distill.model.learning_rate" in (page / "report.html").read_text()
