"""Training speed against the usual ways, side by side in one run.

    python -m benchmarks.training --dataset FOLDER                    all cores
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.training --dataset FOLDER   one core

Each rival runs in a process of its own (memory settings are a process's) and they take turns of
some steps, the others waiting, so that a noisy machine is noisy for all. Compared are real (not
padding) tokens a second; samples a second are those over the rows' mean length. Prints a Markdown
table and writes JSON.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks.training_rivals import BATCH_SIZE, RIVALS, rows
from benchmarks.turns import Worker, race

WARM_UP = 60
"""Steps until heap and kernel caches are full: each length of a batch has to come by."""


def measure(task: str, dataset: str, names: list[str], rounds: int, steps: int) -> list[Worker]:
    """Let the rivals take turns."""
    start = [sys.executable, "-m", "benchmarks.training_rivals"]
    commands = {name: [*start, name, task, dataset] for name in names}
    return race(commands, WARM_UP, rounds, steps)


def report(task: str, dataset: str, workers: list[Worker]) -> dict[str, dict[str, float]]:
    """Samples a second and ratios, by rival."""
    lengths = [len(ids) for ids in rows(task, dataset)["input_ids"]]
    mean_length = sum(lengths) / len(lengths)
    base = workers[0].tokens_per_second()
    return {
        worker.name: {
            "samples_per_second": worker.tokens_per_second() / mean_length,
            "cpu_samples_per_second": worker.tokens_per_second(cpu=True) / mean_length,
            "ratio": worker.tokens_per_second() / base,
        }
        for worker in workers
    }


def main() -> None:
    """Measure both tasks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--tasks", nargs="+", default=list(BATCH_SIZE), choices=list(BATCH_SIZE))
    parser.add_argument("--rivals", nargs="+", default=list(RIVALS), choices=list(RIVALS))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12, help="steps a turn")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    results = {}
    for task in arguments.tasks:
        names = arguments.rivals
        workers = measure(task, arguments.dataset, names, arguments.rounds, arguments.steps)
        results[task] = report(task, arguments.dataset, workers)
        threads = os.environ.get("OMP_NUM_THREADS", os.cpu_count())
        print(f"\n{task}, batch {BATCH_SIZE[task]}, {threads} threads, {platform.machine()}\n")
        print("| | samples/s | ratio |\n| --- | --- | --- |")
        for name, figures in results[task].items():
            print(f"| {name} | {figures['samples_per_second']:.1f} | {figures['ratio']:.2f} |")
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
