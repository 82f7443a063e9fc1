"""What a teacher costs a training step: run on the fly, or read from its cache.

    python -m benchmarks.distillation_speed --dataset FOLDER [--task sst2] [--precision 32-true]
        [--layers 3]

In one run, taking turns: fits of MiniLM-L6 on mrpc (batch 8) or sst2 (batch 32) without a teacher,
and with one of BERT-base's size (random weights), whose answers, or answers and hidden states, are
compared; and the loop of the Hugging Face course with the same teacher. Given are medians over the
turns.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.training_rivals import BATCH_SIZE, glint, plain
from benchmarks.turns import Turn, race
from callbacks import Distillation
from lightning_app.pretrained import load_tokenizer

FOLDER = "GLINT_BENCHMARK_FOLDER"
BATCHES = 200
"""Of a fit: enough for all turns, and the cache is soon made."""
TERMS: dict[str, dict[str, Any]] = {
    "soft targets": {},
    "soft targets, hidden states": {"hidden_states": 1.0},
}
PLAIN = "plain loop, on the fly"
CASES = (
    PLAIN,
    "no teacher",
    *(f"{terms}, {how}" for terms in TERMS for how in ("on the fly", "cached")),
)


def train(name: str, options: argparse.Namespace, turn: Turn) -> None:
    """A fit that steps when it is its turn."""
    task, dataset = options.task, options.dataset
    if name == PLAIN:
        plain(task, dataset, turn, loss_with_teacher())
        return
    terms, _, how = name.rpartition(", ")
    more: tuple[Any, ...] = ()
    if terms:
        folder = Path(os.environ[FOLDER])
        cache = {"cache": how == "cached", "cache_dir": str(folder / "cache")}
        more = (Distillation(str(folder / "teacher"), **TERMS[terms], **cache),)
    rows = BATCHES * BATCH_SIZE[task]
    glint(task, dataset, turn, options.precision, more=more, rows=rows, layers=options.layers)


def loss_with_teacher() -> Callable[[Any, Any], torch.Tensor]:
    """The task's loss and soft targets, as a script of one's own would have them."""
    from transformers import AutoModelForSequenceClassification

    teacher = AutoModelForSequenceClassification.from_pretrained(
        Path(os.environ[FOLDER]) / "teacher"
    ).eval()

    def loss(model: Any, batch: Any) -> torch.Tensor:
        with torch.no_grad():
            teaches = teacher(**{k: v for k, v in batch.items() if k != "labels"}).logits
        student = model(**batch)
        soft = [logits.div(2).log_softmax(-1) for logits in (student.logits, teaches)]
        divergence = torch.nn.functional.kl_div(*soft, reduction="batchmean", log_target=True)
        total: torch.Tensor = student.loss + 4 * divergence
        return total

    return loss


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
    parser.add_argument("--layers", type=int, help="of the student; by default all")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="training steps a turn")
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        train(arguments.worker, arguments, Turn())
        return
    with tempfile.TemporaryDirectory() as folder:
        make_teacher(Path(folder) / "teacher")
        os.environ[FOLDER] = folder
        start = [sys.executable, "-m", "benchmarks.distillation_speed", *sys.argv[1:], "--worker"]
        commands = {name: [*start, name] for name in arguments.only}
        workers = race(commands, 40, arguments.rounds, arguments.steps)
    times = {w.name: 1000 * median(r.seconds for r in w.rounds) / arguments.steps for w in workers}
    print(f"| {arguments.task}, teacher of BERT-base's size | ms a step | cached saves |")
    print("| --- | --- | --- |")
    for name in arguments.only:
        live = times.get(name.replace("cached", "on the fly"), times[name])
        saved = f"{live / times[name]:.2f}x" if name.endswith("cached") else ""
        print(f"| {name} | {times[name]:.1f} | {saved} |")


if __name__ == "__main__":
    main()
