"""One process against two, a thread each: how much faster two train, and what limits them.

    python -m benchmarks.scaling --dataset FOLDER

Three arrangements take turns in one run, each `glint fit` with the same rows a process: one
process, two that know nothing of each other (what memory, caches and clock rate leave of the
second core), and two under DDP (what is left of that with gradients exchanged at each step). Beside
them the time of an exchange of all gradients by itself. Prints a Markdown table and writes JSON.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from benchmarks.scaling_worker import EXCHANGES
from benchmarks.turns import Worker

ARRANGEMENTS = {"one process": ("one",), "two alone": ("one", "one"), "two, DDP": ("ddp",)}


def start(arguments: argparse.Namespace, kind: str, report: Path) -> Worker:
    """A process, or under DDP two, that wait for their first turn."""
    options = (arguments.task, arguments.dataset, str(arguments.batch), arguments.precision)
    command = [sys.executable, "-m", "benchmarks.scaling_worker", kind, *options, str(report)]
    with tempfile.TemporaryFile("w") as log:
        return Worker.start(kind, command, log)


def take_turns(workers: list[Worker], steps: int, keep: bool = True) -> None:
    """All of an arrangement at the same time."""
    with ThreadPoolExecutor(len(workers)) as pool:
        list(pool.map(lambda worker: worker.take_turn(steps, keep), workers))


def end(worker: Worker) -> None:
    """Give it a turn of no steps; the second process of DDP's ends with the first."""
    assert worker.process.stdin is not None
    worker.process.stdin.write("0\n")
    worker.process.stdin.flush()
    worker.process.wait()


def tokens_per_second(name: str, workers: list[Worker]) -> list[float]:
    """Of an arrangement, round by round; under DDP the first process counts its own half."""
    shares = 2 if name == "two, DDP" else 1
    rounds = zip(*(worker.rounds for worker in workers), strict=True)
    return [shares * sum(r.tokens / r.seconds for r in of_round) for of_round in rounds]


def measure(arguments: argparse.Namespace, report: Path) -> dict[str, list[float]]:
    """Tokens a second of each arrangement, round by round."""
    workers = {
        name: [start(arguments, kind, report) for kind in kinds]
        for name, kinds in ARRANGEMENTS.items()
    }
    try:
        for group in workers.values():
            take_turns(group, arguments.warm_up, keep=False)
        for _ in range(arguments.rounds):
            for group in workers.values():
                take_turns(group, arguments.steps)
    finally:
        for worker in chain.from_iterable(workers.values()):
            end(worker)
    return {name: tokens_per_second(name, group) for name, group in workers.items()}


def summary(speeds: dict[str, list[float]], exchange: float, steps: int) -> dict[str, object]:
    """Speeds, and efficiencies as medians over rounds of what ran next to each other."""
    ones = speeds["one process"]
    efficiency = {
        name: statistics.median(two / (2 * one) for two, one in zip(found, ones, strict=True))
        for name, found in speeds.items()
        if name != "one process"
    }
    return {
        "tokens_per_second": {name: statistics.median(found) for name, found in speeds.items()},
        "efficiency": efficiency,
        "exchange_seconds": exchange,
        "rounds": speeds,
        "steps_a_round": steps,
    }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--batch", type=int, default=8, help="rows a process and step")
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--warm_up", type=int, default=10, help="steps")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10, help="steps a turn")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "exchange.json")
        speeds = measure(arguments, report)
        exchange = json.loads(report.read_text())
    result = summary(speeds, exchange, arguments.steps)
    print(
        f"\n{arguments.task}, batch {arguments.batch} a process, {arguments.precision},"
        f" 1 thread a process, {platform.machine()}\n"
    )
    print("| | tokens/s | of twice one process |\n| --- | --- | --- |")
    for name, found in speeds.items():
        share = result["efficiency"].get(name)  # type: ignore[attr-defined]
        words = "" if share is None else f"{share:.1%}"
        print(f"| {name} | {statistics.median(found):.0f} | {words} |")
    print(f"\nAn exchange of all gradients alone: {exchange * 1000:.0f} ms (of {EXCHANGES}).")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
