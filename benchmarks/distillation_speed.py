"""What a teacher costs a training step: run on the fly, or read from its cache.

    python -m benchmarks.distillation_speed --dataset FOLDER [--task sst2] [--precision 32-true]

In one run, taking turns: fits of MiniLM-L6 on mrpc (batch 8) or sst2 (batch 32) without a teacher,
and with one of BERT-base's size (random weights), whose answers, or answers and hidden states, are
compared. Given are medians over the turns.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.training_rivals import BATCH_SIZE, glint
from benchmarks.turns import Turn, race
from callbacks import Distillation
from lightning_app.pretrained import load_tokenizer

FOLDER = "GLINT_BENCHMARK_FOLDER"
ROWS = 3668
"""Of mrpc all; of sst2 as many, that the cache is soon made."""
TERMS: dict[str, dict[str, Any]] = {
    "soft targets": {},
    "soft targets, hidden states": {"hidden_states": 1.0},
}
CASES = ("no teacher", *(f"{terms}, {how}" for terms in TERMS for how in ("on the fly", "cached")))


def train(name: str, task: str, dataset: str, precision: str | None, turn: Turn) -> None:
    """A fit that steps when it is its turn."""
    terms, _, how = name.rpartition(", ")
    more: tuple[Any, ...] = ()
    if terms:
        folder = Path(os.environ[FOLDER])
        cache = {"cache": how == "cached", "cache_dir": str(folder / "cache")}
        more = (Distillation(str(folder / "teacher"), **TERMS[terms], **cache),)
    glint(task, dataset, turn, precision=precision, more=more, rows=ROWS)


def make_teacher(folder: Path) -> None:
    """BERT-base with random weights, and the student's tokenizer."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = load_tokenizer("embedded")
    BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--task", default="mrpc", choices=list(BATCH_SIZE))
    parser.add_argument("--precision", help="by default what `glint fit` chooses on this CPU")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="training steps a turn")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        task, dataset = arguments.task, arguments.dataset
        train(arguments.worker, task, dataset, arguments.precision, Turn())
        return
    with tempfile.TemporaryDirectory() as folder:
        make_teacher(Path(folder) / "teacher")
        os.environ[FOLDER] = folder
        start = [sys.executable, "-m", "benchmarks.distillation_speed", *sys.argv[1:], "--worker"]
        commands = {name: [*start, name] for name in CASES}
        workers = race(commands, 40, arguments.rounds, arguments.steps)
    times = {w.name: 1000 * median(r.seconds for r in w.rounds) / arguments.steps for w in workers}
    print(f"| {arguments.task}, teacher of BERT-base's size | ms a step | cached saves |")
    print("| --- | --- | --- |")
    for name in CASES:
        live = times.get(name.replace("cached", "on the fly"), times[name])
        saved = f"{live / times[name]:.2f}x" if name.endswith("cached") else ""
        print(f"| {name} | {times[name]:.1f} | {saved} |")


if __name__ == "__main__":
    main()
