"""Scores on real GLUE data: choose settings on folds of the training set, then measure them.

    python benchmarks/scores.py selection --dataset FOLDER
    python benchmarks/scores.py final --dataset FOLDER

Each run is a `glint fit` in `runs/scores`; finished runs are skipped, interrupted ones go on, so
the script may be stopped and started again. It prints a Markdown table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("runs/scores")

TUTORIAL = (
    "--data.train_batch_size=8",
    "--model.learning_rate=5e-5",
    "--trainer.max_epochs=3",
    "--model.weight_decay=0.01",
    "--trainer.callbacks=[{class_path: callbacks.LearningRateSchedule}]",
)


@dataclass(frozen=True)
class Run:
    """One fit: a config, a seed, and what differs from the config."""

    name: str
    config: str
    seed: int
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where `glint fit` leaves it."""
        return ROOT / f"{self.name}-seed{self.seed}" / "version_0"

    @property
    def summary(self) -> dict[str, object] | None:
        """Its metrics.json, once it is finished."""
        done = self.folder / "finished"
        return json.loads((self.folder / "metrics.json").read_text()) if done.exists() else None

    def execute(self, dataset: str, threads: int) -> None:
        """Run it, or go on with it, unless it is finished."""
        if self.summary is not None:
            return
        command = [
            *(sys.executable, "-m", "lightning_app", "fit", "--config", self.config),
            f"--data.dataset={dataset}",
            "--model.model_name_or_path=embedded",
            f"--seed_everything={self.seed}",
            f"--data.data_seed={self.seed}",
            *self.options,
            f"--trainer.default_root_dir={ROOT}",
            f"--name={self.name}-seed{self.seed}",
            "--trainer.enable_progress_bar=false",
            "--ckpt_path=last",
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
        (self.folder / "finished").touch()


def _setting(
    batch: int, rate: str, epochs: int, *more: str, warmup: float = 0.1
) -> tuple[str, ...]:
    schedule = (
        f"{{class_path: callbacks.LearningRateSchedule, init_args: {{warmup_fraction: {warmup}}}}}"
    )
    return (
        f"--data.train_batch_size={batch}",
        f"--model.learning_rate={rate}",
        f"--trainer.max_epochs={epochs}",
        f"--trainer.callbacks=[{schedule}]",
        *more,
    )


CANDIDATES = {
    "tutorial": TUTORIAL,
    "b16-5e-5-5ep": _setting(16, "5e-5", 5),
    "b16-1e-4-5ep": _setting(16, "1e-4", 5),
    "b16-1e-4-5ep-decay0.9": _setting(16, "1e-4", 5, "--model.layer_decay=0.9"),
    "b16-1e-4-5ep-reinit1": _setting(16, "1e-4", 5, "--model.reinit_layers=1"),
}


def selection_runs(seeds: list[int]) -> list[Run]:
    """Candidates for configs/mrpc.yaml on a fold of its training set."""
    folds = ("--data.num_folds=5", "--data.fold=0")
    return [
        Run(f"select-{name}", "configs/mrpc.yaml", seed, (*options, *folds))
        for seed in seeds
        for name, options in CANDIDATES.items()
    ]


def final_runs(seeds: list[int]) -> list[Run]:
    """The shipped configs and the tutorial's setting on the validation sets."""
    runs = [Run("mrpc", "configs/mrpc.yaml", seed) for seed in seeds]
    runs += [Run("mrpc-tutorial", "configs/mrpc.yaml", seed, TUTORIAL) for seed in seeds]
    runs += [Run(task, f"configs/{task}.yaml", seeds[0]) for task in ("cola", "stsb")]
    part = ("--data.max_train_rows=10000",)
    return [*runs, Run("sst2-10k", "configs/sst2.yaml", seeds[0], part)]


def table(runs: list[Run]) -> str:
    """Mean and spread over seeds of the best and the last validation, as Markdown."""
    lines = [
        "| run | seeds | best epoch | last epoch | minutes |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(run.name for run in runs):
        done = [run.summary for run in runs if run.name == name and run.summary is not None]
        if done:
            minutes = statistics.mean(float(str(s["seconds"])) for s in done) / 60
            columns = [_metrics([s[kind] for s in done]) for kind in ("best", "last")]
            lines.append(f"| {name} | {len(done)} | {columns[0]} | {columns[1]} | {minutes:.1f} |")
    return "\n".join(lines)


def _metrics(entries: list[object]) -> str:
    parts = []
    for key in dict(entries[0]):  # type: ignore[call-overload]
        if not key.startswith("val/") or key == "val/loss":
            continue
        values = [float(dict(entry)[key]) for entry in entries]  # type: ignore[call-overload]
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        parts.append(f"{key.removeprefix('val/')} {statistics.mean(values):.3f}{spread}")
    return ", ".join(parts)


def main() -> None:
    """Run what is missing, two fits at a time with a thread each, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("selection", "final"))
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--at_once", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    runs = (selection_runs if arguments.what == "selection" else final_runs)(arguments.seeds)
    threads = max(1, (os.cpu_count() or 1) // arguments.at_once)
    with ThreadPoolExecutor(arguments.at_once) as pool:
        list(pool.map(lambda run: run.execute(arguments.dataset, threads), runs))
    print(table(runs))


if __name__ == "__main__":
    main()
