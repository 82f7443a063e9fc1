"""Fits that a benchmark is made of: run what is missing, and tabulate what is there."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path("runs/scores")


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

    def in_precision(self, precision: str | None) -> "Run":
        """The same fit in another precision than the one that `glint fit` chooses (None)."""
        if precision is None:
            return self
        options = (*self.options, f"--trainer.precision={precision}")
        return replace(self, name=f"{self.name}-{precision}", options=options)

    def execute(self, threads: int) -> None:
        """Run it, or go on with it, unless it is finished."""
        if self.summary is not None:
            return
        command = [
            *(sys.executable, "-m", "lightning_app", "fit", "--config", self.config),
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


def execute_all(runs: list[Run], at_once: int) -> None:
    """Run what is missing, so many fits at a time, the cores shared out among them."""
    threads = max(1, (os.cpu_count() or 1) // at_once)
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda run: run.execute(threads), runs))


def add_at_once(parser: argparse.ArgumentParser) -> None:
    """The option for how many fits run at a time."""
    parser.add_argument("--at_once", type=int, default=os.cpu_count() or 1)


def last_score(run: Run) -> float:
    """The task's one score at the end of a finished run."""
    assert run.summary is not None
    return float(dict(run.summary["last"])["val/score"])  # type: ignore[call-overload]


def mean_and_spread(values: list[float], form: str = ".3f") -> str:
    """Mean, and standard deviation if there are several."""
    spread = f" ± {statistics.stdev(values):{form.removeprefix('+')}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{spread}"


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
