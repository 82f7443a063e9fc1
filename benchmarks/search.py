"""`glint search` against the BERT paper's grid, on MRPC: epochs until as good as its best.

    python -m benchmarks.search grid --dataset FOLDER
    python -m benchmarks.search search --dataset FOLDER
    python -m benchmarks.search table

Both train on a part of the training set and are scored on another part of it, the same for all: one
of five folds. The grid (Devlin et al. 2018, appendix A.3) is batch 16 and 32, learning rate 5e-5,
3e-5 and 2e-5, epochs 2, 3 and 4, with its linear decay after 10 % warm-up: 18 fits, 54 epochs. The
search is the command, with its own seeds. Each result is a line of `runs/search-benchmark/*.jsonl`;
what is there is not run again.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from lightning_app.search.fit_processes import FitProcesses

ROOT = Path("runs/search-benchmark")
GRID_ROWS = ROOT / "grid.jsonl"
BATCHES, RATES, EPOCHS = (16, 32), (5e-5, 3e-5, 2e-5), (2, 3, 4)
NUM_FOLDS = 5
WITHIN = 0.005  # half a point of the score, which is the mean of accuracy and F1
SPACES = {
    "the grid's own values": {
        "model.learning_rate": {"choices": list(RATES)},
        "data.train_batch_size": {"choices": list(BATCHES)},
        "trainer.max_epochs": {"choices": list(EPOCHS)},
    },
    "wider": {
        "model.learning_rate": {"low": 1e-5, "high": 2e-4, "log": True},
        "data.train_batch_size": {"choices": [8, 16, 32]},
        "trainer.max_epochs": {"choices": list(EPOCHS)},
    },
}


def schedule(**arguments: Any) -> list[dict[str, Any]]:
    """The callbacks of a fit."""
    return [{"class_path": "callbacks.LearningRateSchedule", "init_args": arguments}]


def grid_config(dataset: str, rows: int, batch: int, rate: float, epochs: int) -> dict[str, Any]:
    """One fit of the grid; it is scored at its end alone."""
    return {
        "seed_everything": 1,
        "model": {"model_name_or_path": "embedded", "learning_rate": rate},
        "data": {
            "class_path": "datamodules.GLUEDataModule",
            "init_args": {
                "task_name": "mrpc",
                "dataset": dataset,
                "train_batch_size": batch,
                "max_train_rows": rows,
                "data_seed": 1,
            },
        },
        "trainer": {
            "max_epochs": epochs,
            "check_val_every_n_epoch": epochs,
            "callbacks": schedule(shape="linear", warmup_fraction=0.1),
        },
    }


def run_grid(dataset: str, rows: int, at_once: int) -> None:
    """Run what is missing of the 18 fits."""
    fits, lock = FitProcesses(), threading.Lock()
    done = {(r["batch"], r["rate"], r["epochs"]) for r in lines(GRID_ROWS)}

    def run(point: tuple[int, float, int]) -> None:
        batch, rate, epochs = point
        folder = ROOT / f"grid-{batch}-{rate:g}-{epochs}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(grid_config(dataset, rows, batch, rate, epochs)))
        arguments = [
            *("fit", f"--config={config}", f"--data.num_folds={NUM_FOLDS}", "--data.fold=0"),
            *(f"--trainer.default_root_dir={folder}", "--name=fit", "--ckpt_path=last"),
            *("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
        ]
        fits.run(arguments, folder)
        metrics = json.loads((folder / "fit/version_0/metrics.json").read_text())
        row = {
            "batch": batch,
            "rate": rate,
            "epochs": epochs,
            "rows": rows,
            "score": metrics["last"]["val/score"],
            "seconds": round(metrics["seconds"], 1),
        }
        for checkpoint in (folder / "fit/version_0/checkpoints").glob("*.ckpt"):
            checkpoint.unlink()
        with lock, GRID_ROWS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)

    points = [p for p in product(BATCHES, RATES, EPOCHS) if p not in done]
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(run, points))


def run_search(dataset: str, rows: int, name: str, seed: int, trials: int, workers: int) -> None:
    """Run the command, or go on with it."""
    config = grid_config(dataset, rows, 16, 5e-5, 3)
    config["trainer"] = {
        "max_epochs": 3,
        "callbacks": schedule(shape="trapezoidal", warmup_epochs=0.2),
    }
    folder = ROOT / f"{name.split()[0]}-seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    base, file = folder / "base.yaml", folder / "search.yaml"
    base.write_text(yaml.safe_dump(config))
    search = {
        "name": folder.name,
        "base": [str(base)],
        "space": SPACES[name],
        "sampler": "tpe",
        "pruner": "hyperband",
        "reduction_factor": 2,
        "trials": trials,
        "seed": seed,
        "begin_with_config": False,
        "folds": NUM_FOLDS,
        "folds_used": 1,
        "root": str(ROOT / "studies"),
        "workers": workers,
        "winner": False,
    }
    file.write_text(yaml.safe_dump(search))
    command = [sys.executable, "-m", "lightning_app", "search", "--config", str(file)]
    subprocess.run(command, check=True)


def steps_of_search(name: str, seed: int) -> list[dict[str, Any]]:
    """Each rung of a finished search in the order of the trials: epochs, seconds and the score."""
    import optuna

    folder = f"{name.split()[0]}-seed{seed}"
    database = ROOT / "studies" / folder / "study.db"
    if not database.is_file():
        return []
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name=folder, storage=f"sqlite:///{database}")
    return [rung for trial in study.trials for rung in trial.user_attrs.get("rungs", [])]


def until(rungs: list[dict[str, Any]], wanted: float) -> tuple[int, float] | None:
    """Epochs and seconds until a result is at least as good; None if none is."""
    epochs, seconds = 0, 0.0
    for rung in rungs:
        epochs, seconds = epochs + rung["trained"], seconds + rung["seconds"]
        if sum(rung["scores"]) / len(rung["scores"]) >= wanted:
            return epochs, seconds
    return None


def lines(file: Path) -> list[dict[str, Any]]:
    """Of a JSONL file; none where there is none."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def table(seeds: list[int]) -> str:
    """What is there, as Markdown."""
    grid = lines(GRID_ROWS)
    best = max(grid, key=lambda row: row["score"])
    epochs, seconds = (sum(row[name] for row in grid) for name in ("epochs", "seconds"))
    text = [
        f"grid: {len(grid)} of 18 fits, best {best}",
        "",
        f"| | epochs until {best['score'] - WITHIN:.4f} | times fewer | seconds | times fewer |",
        "| --- | --- | --- | --- | --- |",
        f"| grid, all of it | {epochs} | | {seconds:.0f} | |",
    ]
    for name in SPACES:
        factors = []
        for seed in seeds:
            rungs = steps_of_search(name, seed)
            found = until(rungs, best["score"] - WITHIN)
            if found is not None:
                factors.append(epochs / found[0])
                gains = f"{found[0]} | {epochs / found[0]:.1f} | {found[1]:.0f}"
                text.append(f"| {name}, seed {seed} | {gains} | {seconds / found[1]:.1f} |")
            elif rungs:
                factors.append(0.0)
                text.append(f"| {name}, seed {seed} | not within its trials | | | |")
        if factors:
            text.append(f"| {name}, median | | {statistics.median(factors):.1f} | | |")
    return "\n".join(text)


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("grid", "search", "table"))
    parser.add_argument("--dataset", help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--spaces", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--at_once", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.what == "grid":
        run_grid(arguments.dataset, arguments.rows, arguments.at_once)
    elif arguments.what == "search":
        for seed, name in product(arguments.seeds, arguments.spaces):
            run_search(
                arguments.dataset, arguments.rows, name, seed, arguments.trials, arguments.at_once
            )
    print(table(arguments.seeds))


if __name__ == "__main__":
    main()
