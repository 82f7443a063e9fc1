"""What a teacher costs a training step: run on the fly, or read from its cache.

    python -m benchmarks.distillation_speed --dataset FOLDER

In one run, taking turns: fits of MiniLM-L6 on mrpc (batch 8) without a teacher, and with one of
BERT-base's size (random weights), whose answers, or answers and hidden states, are compared.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.pruning_speed import measure
from benchmarks.training_rivals import glint
from benchmarks.turns import Turn
from callbacks import Distillation
from lightning_app.pretrained import load_tokenizer

FOLDER = "GLINT_BENCHMARK_FOLDER"
TERMS: dict[str, dict[str, Any]] = {
    "soft targets": {},
    "soft targets, hidden states": {"hidden_states": 1.0},
}
CASES = ("no teacher", *(f"{terms}, {how}" for terms in TERMS for how in ("on the fly", "cached")))


def train(name: str, dataset: str, turn: Turn) -> None:
    """A fit that steps when it is its turn."""
    terms, _, how = name.rpartition(", ")
    more: tuple[Any, ...] = ()
    if terms:
        folder = Path(os.environ[FOLDER])
        cache = {"cache": how == "cached", "cache_dir": str(folder / "cache")}
        more = (Distillation(str(folder / "teacher"), **TERMS[terms], **cache),)
    glint("mrpc", dataset, turn, more=more)


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
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="training steps a turn")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        train(arguments.worker, arguments.dataset, Turn())
        return
    with tempfile.TemporaryDirectory() as folder:
        make_teacher(Path(folder) / "teacher")
        os.environ[FOLDER] = folder
        start = [sys.executable, "-m", "benchmarks.distillation_speed"]
        commands = {
            name: [*start, "--dataset", arguments.dataset, "--worker", name] for name in CASES
        }
        seconds = measure(commands, arguments.rounds, arguments.steps)
    steps = arguments.rounds * arguments.steps
    print("| mrpc, batch 8, teacher of BERT-base's size | ms a step | of on the fly |")
    print("| --- | --- | --- |")
    for name in CASES:
        live = seconds.get(name.replace("cached", "on the fly"), seconds[name])
        print(f"| {name} | {1000 * seconds[name] / steps:.1f} | {seconds[name] / live:.2f} |")


if __name__ == "__main__":
    main()
