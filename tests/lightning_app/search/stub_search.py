"""A worker whose fits are made up: `python -m` with the database, a folder and the seconds."""

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lightning_app.search.samplers import pruner_of
from lightning_app.search.specification import Specification
from lightning_app.search.study import add_tickets, open_storage, open_study
from lightning_app.search.worker import SearchWorker

RATES, BATCHES = (1e-5, 3e-5, 1e-4), (8, 16)


def specification(folder: Path, **options: Any) -> Specification:
    """A grid of six on two folds."""
    plain: dict[str, Any] = {
        "name": "stub",
        "folder": str(folder),
        "config": {"model": {"learning_rate": 3e-5}, "trainer": {"max_epochs": 3}},
        "space": {
            "model.learning_rate": {"choices": list(RATES)},
            "data.train_batch_size": {"choices": list(BATCHES)},
        },
        "sampler": "grid",
        "pruner": "none",
        "objectives": ["score"],
        "folds": 2,
        "folds_used": 2,
        "trials": 6,
        "seed": 1,
        "begin_with_config": False,
        "reduction_factor": 2,
        "margin": 0.02,
        "runtime": "onnx",
        "length": 16,
        "batch_size": 1,
        "threads": 1,
        "heartbeat": 1,
        "shares_prefix": False,
    }
    return Specification(**{**plain, **options})


def score(rate: float, batch: int, fold: int) -> float:
    """The best is 3e-5 with 16."""
    return round(0.9 - abs(math.log10(rate / 3e-5)) / 10 - (batch == 8) / 50 + fold / 1000, 6)


def worker(what: Specification, storage: str, seconds: float, rungs: Sequence[int]) -> SearchWorker:
    """It writes `metrics.json` in place of training; each fit takes so many seconds."""
    study = open_study(open_storage(storage, what.heartbeat), what)
    study.pruner = pruner_of(what, list(rungs))

    def fit(arguments: Sequence[str], folder: Path) -> float:
        time.sleep(seconds)
        named = dict(a.removeprefix("--").split("=", 1) for a in arguments if "=" in a)
        config = yaml.safe_load(Path(named["config"]).read_text())
        fold = int(named["data.fold"])
        with (Path(what.folder) / "fits.txt").open("a") as log:
            log.write(f"{folder.name}/{fold}\n")
        rate = config["model"]["learning_rate"]
        found = score(rate, config["data"]["init_args"]["train_batch_size"], fold)
        run = Path(named["trainer.default_root_dir"]) / named["name"] / "version_0"
        run.mkdir(parents=True, exist_ok=True)
        metrics = {"last": {"val/score": found}, "epochs": 3, "seconds": seconds}
        (run / "metrics.json").write_text(json.dumps(metrics))
        return seconds

    return SearchWorker(study, what, list(rungs), fit, lambda checkpoint: {}, what.trials)


def tickets() -> list[dict[str, Any]]:
    """All of the grid."""
    return [
        {"model.learning_rate": rate, "data.train_batch_size": batch}
        for rate in RATES
        for batch in BATCHES
    ]


def main(storage: str, folder: str, seconds: str) -> None:
    """Queue the grid, and work on it."""
    made = worker(specification(Path(folder)), storage, float(seconds), [3])
    add_tickets(made.study, tickets())
    print("ready", flush=True)
    made.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
