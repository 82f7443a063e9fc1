"""Two CPU processes (gloo) compute what one does; with each callback: tests/strategies."""

import json
from pathlib import Path

import pytest
import torch

from tests.end_to_end.command import NO_DROPOUT, differences, glint, run_folder, tiny_fit
from tests.end_to_end.scheduler import scheduler

TWO = ("--trainer.strategy=ddp", "--trainer.devices=2")
STSB = ("loss", "score", "pearson", "spearman")


@pytest.fixture(scope="module")
def runs(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same global batch of 16, the last batch incomplete (165 rows)."""
    root = tmp_path_factory.mktemp("runs")
    glint(*_fit(tiny_model, root), "--name=one", "--data.train_batch_size=16")
    glint(*_fit(tiny_model, root), "--name=two", "--data.train_batch_size=8", *TWO)
    return root


def _fit(model: str, root: Path) -> list[str]:
    return tiny_fit(model, root, *NO_DROPOUT, "--data.max_train_rows=165")


def test_training_with_the_same_global_batch_agrees(runs: Path) -> None:
    one, two = (
        torch.load(run_folder(runs, name) / "checkpoints/last.ckpt") for name in ("one", "two")
    )
    assert one["global_step"] == two["global_step"] == 33
    for name, weights in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], weights, rtol=1e-5, atol=1e-6)


def test_metrics_of_the_same_weights_are_exactly_equal(runs: Path) -> None:
    folder = run_folder(runs, "one")
    history = [
        json.loads((run_folder(runs, name) / "metrics.json").read_text())["history"]
        for name in ("one", "two")
    ]
    assert [e["val/accuracy"] for e in history[0]] == [e["val/accuracy"] for e in history[1]]
    printed = [
        _metric_lines(folder, "--trainer.devices=1"),
        _metric_lines(folder, *TWO),
    ]
    assert len(printed[0]) == 4
    assert printed[0] == printed[1]


def test_predictions_are_equal_and_complete(runs: Path) -> None:
    folder = run_folder(runs, "one")
    files = []
    for devices in (("--trainer.devices=1",), TWO):
        out = folder / f"predictions{len(files)}"
        _with_checkpoint("predict", folder, *devices, f"--predictions.output_dir={out}")
        files.append((out / "MRPC.tsv").read_text())
    assert files[0] == files[1]
    assert files[0].splitlines()[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in files[0].splitlines()[1:]] == [
        str(i) for i in range(len(files[0].splitlines()) - 1)
    ]


def test_a_killed_run_of_one_process_goes_on_with_two(runs: Path) -> None:
    folder = run_folder(runs, "one")
    result = _with_checkpoint(
        "fit", folder, *TWO, "--trainer.max_epochs=4", "--data.train_batch_size=8", file="last.ckpt"
    )
    assert "random states of 1 processes, this run has 2" in result


def test_spawned_processes_train_as_started_ones(tiny_model: str, runs: Path) -> None:
    """What `ddp_spawn` pickles is the module, the data and the callbacks."""
    spawned = ("--trainer.strategy=ddp_spawn", "--trainer.devices=2", "--data.train_batch_size=8")
    glint(*_fit(tiny_model, runs), "--name=spawned", *spawned, own_imports=True)
    a, b = (
        torch.load(run_folder(runs, name) / "checkpoints/last.ckpt") for name in ("two", "spawned")
    )
    assert a["global_step"] == b["global_step"] == 33
    assert differences(a["state_dict"], b["state_dict"]) == []


def test_both_stop_for_sigterm_at_the_same_step_and_go_on_bit_for_bit(
    tiny_model: str, runs: Path
) -> None:
    fit = [*_fit(tiny_model, runs), "--name=stopped", "--data.train_batch_size=8", *TWO]
    said = glint(*fit, *scheduler(at=14, to="1"), expect=143).stderr
    assert said.count("stopped by SIGTERM after step 15; saved ") == 1
    glint(*fit, "--ckpt_path=last")
    a, b = (
        torch.load(run_folder(runs, name) / "checkpoints/last.ckpt") for name in ("two", "stopped")
    )
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops"):
        assert differences(a[part], b[part]) == []
    assert differences(*(c["callbacks"]["RandomState"] for c in (a, b))) == []


def test_correlations_of_the_same_weights_are_exactly_equal(
    tiny_model: str, tmp_path: Path
) -> None:
    glint(*tiny_fit(tiny_model, tmp_path, "--data.task_name=stsb", "--trainer.max_steps=6"))
    folder = run_folder(tmp_path)
    one = _metric_lines(folder, "--trainer.devices=1", file="last.ckpt")
    two = _metric_lines(folder, *TWO, file="last.ckpt")  # all digits of a float
    assert [line.split()[1] for line in one] == [f"val/{name}" for name in STSB]
    assert one == two


def _metric_lines(folder: Path, *more: str, file: str = "best.ckpt") -> list[str]:
    output = _with_checkpoint("validate", folder, *more, file=file)
    return sorted(line.strip() for line in output.splitlines() if "val/" in line)


def _with_checkpoint(command: str, folder: Path, *more: str, file: str = "best.ckpt") -> str:
    checkpoint = f"--ckpt_path={folder}/checkpoints/{file}"
    result = glint(command, f"--config={folder}/config.yaml", checkpoint, *more)
    return result.stdout + result.stderr
