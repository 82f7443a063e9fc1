import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks import RunSummary, TrainingLog
from tests.lightning_app.test_energy import counter
from tests.tiny_fit import fit

KEYS = {
    "task",
    "model",
    "best",
    "last",
    "steps",
    "epochs",
    "seconds",
    "joules",
    "train_samples_per_second",
    "train_tokens_per_second",
    "padding_share",
    "peak_memory_mb",
    "parameters",
    "nonzero_share",
    "device",
    "devices",
    "precision",
    "seed",
    "python",
    "versions",
    "history",
}
METRICS = {"val/accuracy", "val/f1", "val/matthews", "val/loss", "val/score"}


def summary_of_a_fit(tiny_model: str, reviews: Path, folder: Path) -> tuple[dict[str, Any], Any]:
    logger = TensorBoardLogger(folder, "run", 0, default_hp_metric=False)
    callbacks = (TrainingLog(), RunSummary())
    trainer = fit(tiny_model, reviews, *callbacks, logger=logger, max_epochs=3, log_every_n_steps=3)
    return json.loads((Path(logger.log_dir) / "metrics.json").read_text()), trainer


def test_metrics_file_says_what_was_reached_and_what_it_cost(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    summary, trainer = summary_of_a_fit(tiny_model, reviews, tmp_path)
    assert set(summary) == KEYS
    assert (summary["task"], summary["model"]) == ("train", tiny_model)
    assert (summary["steps"], summary["epochs"]) == (18, 3)
    assert (summary["device"], summary["devices"], summary["precision"]) == ("cpu", 1, "32-true")
    assert summary["parameters"] == sum(p.numel() for p in trainer.lightning_module.parameters())
    assert summary["versions"]["torch"] == version("torch")
    assert summary["seconds"] > 0
    assert not list(Path(trainer.log_dir).glob("*.unfinished"))


def test_history_has_each_validation_and_best_is_its_highest_score(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    summary, trainer = summary_of_a_fit(tiny_model, reviews, tmp_path)
    history = summary["history"]
    assert [(entry["step"], entry["epoch"]) for entry in history] == [(6, 0), (12, 1), (18, 2)]
    assert all(set(entry) == METRICS | {"step", "epoch"} for entry in history)
    assert summary["last"] == history[-1]
    assert summary["best"]["val/score"] == max(entry["val/score"] for entry in history)
    last = float(trainer.callback_metrics["val/score"])
    assert summary["last"]["val/score"] == pytest.approx(last)


def test_best_is_the_first_of_equals_and_never_a_nan() -> None:
    summary = RunSummary()
    assert summary.best == {}
    scores = [math.nan, 0.5, 0.75, 0.75, math.nan, 0.25]
    summary.history = [{"step": i, "val/score": score} for i, score in enumerate(scores)]
    assert summary.best == {"step": 2, "val/score": 0.75}


def test_a_resumed_run_keeps_history_and_seconds() -> None:
    summary = RunSummary()
    summary.load_state_dict({"history": [{"step": 1, "val/score": 0.5}], "seconds": 100.0})
    assert summary.seconds == pytest.approx(100.0, abs=5)
    assert summary.state_dict()["history"] == [{"step": 1, "val/score": 0.5}]
    assert summary.best["step"] == 1


def test_nothing_is_written_without_a_folder(
    tiny_model: str, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    summary = RunSummary()
    fit(tiny_model, reviews, summary, fast_dev_run=True)
    assert list(tmp_path.rglob("metrics.json")) == []
    assert len(summary.history) == 1


class Burn(Callback):
    """Lets a made-up counter of energy count 2 J a step."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_batch_end(self, *_: Any) -> None:
        self.file.write_text(str(int(self.file.read_text()) + 2_000_000))


def test_energy_is_that_of_all_steps_over_all_resumes(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    file = counter(tmp_path, "0", "package-0", 7_000_000)
    summary = RunSummary(powercap=tmp_path)
    summary.load_state_dict({"history": [], "seconds": 0.0, "joules": 100.0})
    fit(tiny_model, reviews, Burn(file), summary, default_root_dir=str(tmp_path / "run"))
    assert summary.joules == pytest.approx(100 + 6 * 2)
    assert summary.state_dict()["joules"] == summary.joules
    summary.load_state_dict({"history": [], "seconds": 0.0})  # begun where it could not be read
    assert summary.joules is None
    assert RunSummary(powercap=tmp_path / "nowhere").joules is None
