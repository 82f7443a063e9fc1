"""What pruning callbacks cost a training step, and what a smaller structure saves.

    python -m benchmarks.pruning_speed --dataset FOLDER

In one run, taking turns: fits on mrpc (batch 8) with no callback, with each pruning callback at a
100-step frequency, and with half of the heads and neurons removed; then forward passes of one
sequence of 128 tokens, and of 48. Ratios are of the sums over all turns, so that the steps at
which masks change count as often as they come; those of processor time are the steadier ones where
something else computes.
"""

import argparse
import sys
import tempfile
from typing import Any

import torch

from benchmarks.training_rivals import glint
from benchmarks.turns import Turn, race
from callbacks import (
    MagnitudePruning,
    MovementPruning,
    SecondOrderPruning,
    SparsitySchedule,
    StructuredPruning,
)
from datamodules import GLUEDataModule
from modules import TextClassifier

LONG = SparsitySchedule(start=0, end=40_000, unit="steps", every_n_steps=100)
HALF = {"heads": 0.5, "neurons": 0.5}
CALLBACKS: dict[str, Any] = {
    "dense": lambda: (),
    "magnitude": lambda: (MagnitudePruning(sparsity=0.5, schedule=LONG),),
    "movement": lambda: (MovementPruning(sparsity=0.5, schedule=LONG),),
    "second order": lambda: (SecondOrderPruning(sparsity=0.5, schedule=LONG, num_gradients=128),),
    "second order, recycled": lambda: (
        SecondOrderPruning(sparsity=0.5, schedule=LONG, num_gradients=0),
    ),
    "structured, gates": lambda: (StructuredPruning(**HALF, schedule=LONG),),
    "structured, removed": lambda: (StructuredPruning(**HALF),),
}
FORWARD = ("dense", "structured, removed")
LENGTHS = (128, 48)


def train(name: str, dataset: str, precision: str | None, turn: Turn) -> None:
    """A fit that steps when it is its turn."""
    glint("mrpc", dataset, turn, precision, more=CALLBACKS[name]())


def forward(name: str, length: int, turn: Turn) -> None:
    """One sequence at a time through the network, without gradients."""
    model = _model(name)
    assert model.network is not None
    ids = torch.randint(5, 1000, (1, length))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.inference_mode():
        while turn.step(length):
            model.network(**inputs)


def _model(name: str) -> TextClassifier:
    model = TextClassifier("embedded")
    data = GLUEDataModule("mrpc", dataset="embedded")
    model.build(data.task)
    if name != "dense":
        layers = range(6)
        model.prune_structure([list(range(6)) for _ in layers], [list(range(768)) for _ in layers])
    return model.eval()


def sizes(name: str) -> tuple[int, float]:
    """Parameters, and MiB of the weights in a safetensors file."""
    from pathlib import Path

    from safetensors.torch import save_file

    state = _model(name).state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
        return sum(t.numel() for t in state.values()), path.stat().st_size / 2**20


def measure(
    commands: dict[str, list[str]], rounds: int, steps: int
) -> dict[str, tuple[float, float]]:
    """Wall and processor seconds of all turns of each worker, together."""
    return {
        worker.name: (
            sum(r.seconds for r in worker.rounds),
            sum(r.cpu_seconds for r in worker.rounds),
        )
        for worker in race(commands, 30, rounds, steps)
    }


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.pruning_speed", *arguments]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10, help="training steps a turn")
    parser.add_argument("--precision", help="by default what `glint fit` chooses on this CPU")
    parser.add_argument("--only", nargs="+", default=list(CALLBACKS), choices=list(CALLBACKS))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, length = arguments.worker
        if length == "train":
            train(name, arguments.dataset, arguments.precision, Turn())
        else:
            forward(name, int(length), Turn())
        return
    data = ["--dataset", arguments.dataset]
    if arguments.precision:
        data.append(f"--precision={arguments.precision}")
    commands = {n: _command(*data, "--worker", n, "train") for n in arguments.only}
    seconds = measure(commands, arguments.rounds, arguments.steps)
    print("\n| training, mrpc, batch 8 | ms a step | against dense | processor time |")
    print("| --- | --- | --- | --- |")
    for name, found in seconds.items():
        each = found[0] / arguments.rounds / arguments.steps * 1000
        wall, cpu = (a / b - 1 for a, b in zip(found, seconds["dense"], strict=True))
        print(f"| {name} | {each:.1f} | {wall:+.1%} | {cpu:+.1%} |")
    print("\n| forward, batch 1 | parameters | MiB | ms, 128 tokens | ms, 48 tokens |")
    print("| --- | --- | --- | --- | --- |")
    by_length = {
        length: measure(
            {n: _command(*data, "--worker", n, str(length)) for n in FORWARD}, arguments.rounds, 50
        )
        for length in LENGTHS
    }
    for name in FORWARD:
        parameters, mebibytes = sizes(name)
        cells = [f"{by_length[n][name][0] / arguments.rounds / 50 * 1000:.2f}" for n in LENGTHS]
        print(f"| {name} | {parameters:,} | {mebibytes:.1f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
