"""Recipes on real GLUE data: what each artifact gains and loses.

    python -m benchmarks.compress sst2_within_a_point --dataset FOLDER
    python -m benchmarks.compress mrpc_within_a_point --dataset FOLDER --seeds 1 2 3

`glint compress` of a recipe of configs/recipes with MiniLM-L6 as the model, sst2 on a fixed part of
10,000 rows, once for each seed, in `runs/compress`; what is finished is skipped. It prints a
Markdown table of the means over seeds; losses are paired, against the dense model of the same
seed in plain PyTorch. Latencies are those of the runs' own benchmarks, those of
all lengths the first seed's: let nothing else compute, or delete the folder of the last stage and
run it again then.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.fits import mean_and_spread

ROOT = Path("runs/compress")


def options(recipe: str, dataset: str, seed: int) -> list[str]:
    """Of each fit: which rows; of sst2 a fixed part."""
    part = ["--data.max_train_rows=10000", "--data.data_seed=1"]
    rows = part if recipe.startswith("sst2") else [f"--data.data_seed={seed}"]
    model = "--model.model_name_or_path=embedded"
    return [f"--data.dataset={dataset}", model, f"--seed_everything={seed}", *rows]


def run(recipe: str, dataset: str, seed: int, more: Sequence[str]) -> dict[str, Any]:
    """The recipe with a seed, or what it has left if it is finished."""
    name = f"{recipe}-seed{seed}"
    command = [
        *(sys.executable, "-m", "lightning_app", "compress"),
        f"--config=configs/recipes/{recipe}.yaml",
        f"--name={name}",
        f"--root={ROOT}",
        "--no_estimate",
        *options(recipe, dataset, seed),
        *more,
    ]
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads((ROOT / name / "compress.json").read_text())
    return found


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Means over seeds, as Markdown."""
    lines = [
        "| artifact | score | lost, paired | ms | times PyTorch | MB | parameters |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| dense, PyTorch float32 | "
        + " | ".join((_mean(runs, lambda r: r["dense"]["score"], ".4f"), ""))
        + f" | {_mean(runs, lambda r: r['dense']['latency_ms'], '.2f')} | 1.00 | |"
        f" {runs[0]['dense']['parameters'] / 1e6:.1f}M |",
    ]
    for name in [outcome["name"] for outcome in runs[0]["results"]]:
        of_name = [_of(run, name) for run in runs]
        columns = [
            _mean(of_name, lambda o: o["score"], ".4f"),
            _mean(of_name, lambda o: o["drop"], "+.4f"),
            _mean(of_name, lambda o: o["latency_ms"], ".2f"),
            _mean(of_name, lambda o: o["speedup"], ".2f"),
            f"{of_name[0]['size_mb']:.1f}",
            f"{statistics.mean(o['parameters'] for o in of_name) / 1e6:.1f}M",
        ]
        lines.append(f"| {name} ({of_name[0]['format']}) | {' | '.join(columns)} |")
    return "\n".join(lines)


def latencies(run: dict[str, Any], name: str) -> str:
    """Milliseconds at each length that was measured, and how many times faster than PyTorch."""
    found = json.loads((ROOT / name / run["benchmark"]).read_text())["artifacts"]
    by_name = {Path(artifact["folder"]).name: _cells(artifact) for artifact in found}
    dense = next(_cells(artifact) for artifact in found if artifact["format"] == "eager")
    head = [f"{length or 'task'} tokens, ms | times PyTorch" for length in dense]
    lines = [f"| | {' | '.join(head)} |", "| --- |" + " --- | --- |" * len(dense)]
    for artifact, cells in by_name.items():
        columns = [f"{ms:.2f} | {dense[length] / ms:.2f}" for length, ms in cells.items()]
        lines.append(f"| {artifact} | {' | '.join(columns)} |")
    return "\n".join(lines)


def _cells(artifact: dict[str, Any]) -> dict[int | None, float]:
    return {c["cell"]["length"]: c["network"]["median_ms"]["value"] for c in artifact["cells"]}


def cost(runs: Sequence[dict[str, Any]]) -> str:
    """Seconds by stage, against those of the first fit."""
    seconds = {stage["name"]: stage["seconds"] for stage in runs[0]["stages"]}
    first = next(iter(seconds.values()))
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    return f"seconds: {parts}; all {sum(seconds.values()) / first:.1f} times the first fit"


def _of(run: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(o for o in run["results"] if o["name"] == name)
    return found


def _mean(of: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float], form: str) -> str:
    return mean_and_spread([value(one) for one in of], form)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    recipes = sorted(path.stem for path in Path("configs/recipes").glob("*.yaml"))
    parser.add_argument("recipe", choices=recipes)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    arguments, more = parser.parse_known_args()
    runs = [run(arguments.recipe, arguments.dataset, seed, more) for seed in arguments.seeds]
    first = f"{arguments.recipe}-seed{arguments.seeds[0]}"
    print(f"\n{table(runs)}\n\n{latencies(runs[0], first)}\n\n{cost(runs)}")


if __name__ == "__main__":
    main()
