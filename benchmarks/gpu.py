"""Training speed, memory and latency of BERT-base's size on one GPU, side by side in one run.

    python -m benchmarks.gpu --dataset FOLDER
    python -m benchmarks.gpu --dataset embedded --device cpu --small     whether it runs at all

Batch 8 with MRPC's lengths and batch 256 with SST-2's, in bfloat16 and compiled, with random
weights: the speed is that of trained ones. Rivals take turns, as in `benchmarks.training`. Prints
Markdown tables and writes JSON.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_latency import latencies
from benchmarks.gpu_rivals import BASE, RIVALS, SMALL, Setting, rows, save_network
from benchmarks.turns import race

BATCHES = {"mrpc": 8, "sst2": 256}
LENGTHS = (32, 128)


def training(arguments: argparse.Namespace, task: str, folder: str) -> dict[str, Any]:
    """Samples a second, ratios and memory, by rival."""
    settings = {
        name: Setting(
            device=arguments.device,
            model=folder,
            task=task,
            dataset=arguments.dataset,
            batch=8 if arguments.small else BATCHES[task],
            compile=not arguments.eager,
            memory=str(Path(folder, f"memory-{number}.json")),
        )
        for number, name in enumerate(RIVALS)
    }
    start = [sys.executable, "-m", "benchmarks.gpu_rivals"]
    commands = {name: [*start, name, json.dumps(asdict(s))] for name, s in settings.items()}
    workers = race(commands, arguments.warm_up, arguments.rounds, arguments.steps)
    lengths = [len(ids) for ids in rows(settings["Glint"])["input_ids"]]
    mean_length = sum(lengths) / len(lengths)
    base = workers[0].tokens_per_second()
    return {
        worker.name: {
            "samples_per_second": worker.tokens_per_second() / mean_length,
            "ratio": worker.tokens_per_second() / base,
            "memory_mb": _memory(settings[worker.name]),
        }
        for worker in workers
    }


def _memory(setting: Setting) -> float | None:
    file = Path(setting.memory)
    return json.loads(file.read_text()) if file.is_file() else None


def print_training(task: str, figures: dict[str, Any]) -> None:
    """As a table."""
    print(f"\n{task}\n\n| | samples/s | ratio | peak MiB |\n| --- | --- | --- | --- |")
    for name, found in figures.items():
        peak = "" if found["memory_mb"] is None else f"{found['memory_mb']:.0f}"
        speed = f"{found['samples_per_second']:.1f} | {found['ratio']:.2f}"
        print(f"| {name} | {speed} | {peak} |")


def main() -> None:
    """Measure all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder like nyu-mll/glue, or `embedded`")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="a network and batches of no size")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    parser.add_argument("--warm_up", type=int, default=60, help="steps")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20, help="steps a turn")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("Expected a CUDA device, got none; `--device cpu --small` only runs it.")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        save_network(SMALL if arguments.small else BASE, folder)
        for task in BATCHES:
            results[task] = training(arguments, task, folder)
            print_training(task, results[task])
        print("\n| batch 1, ms | tokens | |\n| --- | --- | --- |")
        for length in LENGTHS:
            compiled = not arguments.eager
            found = latencies(folder, arguments.device, compiled, length, arguments.rounds * 20)
            results[f"latency_{length}"] = found
            for name, milliseconds in found.items():
                print(f"| {name} | {length} | {milliseconds:.2f} |")
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
