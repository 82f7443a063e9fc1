"""What the plain loop of the Hugging Face course scores on real MRPC, to compare Glint's with.

    python -m benchmarks.plain_scores --dataset FOLDER

Chapter 3 of the course as it stands, but for the model, which is `embedded`: shuffled batches of 8
padded to their longest row, AdamW at 5e-5 with torch's defaults, linear decay over 3 epochs,
dropout on; the validation set is scored after each epoch. Matrix products go to oneDNN where
`lightning_app.matmul` would send them: the same mathematics, in less time. Seeds that are finished
(`runs/scores/plain-mrpc-seedN/metrics.json`) are skipped, so the script may be stopped and started
again. Prints a Markdown table. A seed takes 10 to 20 minutes on one core.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fits import ROOT, Run, add_at_once, execute_all, table

BATCH_SIZE, LEARNING_RATE, EPOCHS = 8, 5e-5, 3


@dataclass(frozen=True)
class PlainRun(Run):
    """One seed of the plain loop, in a process of its own; `options` are the script's."""

    @property
    def folder(self) -> Path:
        """Where its figures are."""
        return ROOT / f"{self.name}-seed{self.seed}"

    @property
    def summary(self) -> dict[str, object] | None:
        """Its metrics.json, which is written when it is finished."""
        file = self.folder / "metrics.json"
        return json.loads(file.read_text()) if file.is_file() else None

    def execute(self, threads: int) -> None:
        """Run it, unless it is finished."""
        if self.summary is not None:
            return
        program = [sys.executable, "-m", "benchmarks.plain_scores", "--into", str(self.folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [*program, "--seeds", str(self.seed), *self.options]
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)


def train(dataset: str, seed: int, folder: Path) -> None:
    """Train and score one seed; leave its figures in ``folder``."""
    from transformers import set_seed

    from lightning_app.matmul import onednn_matmul

    set_seed(seed)
    start = time.perf_counter()
    with onednn_matmul():
        history = _train(dataset)
    figures = {
        "best": max(history, key=lambda epoch: epoch["val/score"]),
        "last": history[-1],
        "history": history,
        "seconds": time.perf_counter() - start,
    }
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / "metrics.json.unfinished"
    unfinished.write_text(json.dumps(figures, indent=2) + "\n")
    unfinished.replace(folder / "metrics.json")


def _train(dataset: str) -> list[dict[str, float]]:
    """The course's loop; the metrics of each epoch."""
    import torch
    from transformers import get_scheduler

    from benchmarks.training_rivals import network

    model = network()
    loader, validation = (_loader(dataset, split) for split in ("train", "validation"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    steps = EPOCHS * len(loader)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=steps)
    history = []
    for epoch in range(EPOCHS):
        model.train()
        for batch in loader:
            model(**batch).loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        history.append({"epoch": epoch, **_scores(model.eval(), validation)})
    return history


def _loader(dataset: str, split: str) -> Any:
    from torch.utils.data import DataLoader
    from transformers import DataCollatorWithPadding

    from benchmarks.training_rivals import rows
    from lightning_app.pretrained import load_tokenizer

    data: Any = rows("mrpc", dataset, split)
    collate = DataCollatorWithPadding(load_tokenizer("embedded"))
    return DataLoader(data, BATCH_SIZE, shuffle=split == "train", collate_fn=collate)


def _scores(model: Any, loader: Any) -> dict[str, float]:
    """Accuracy, F1 and their mean, GLUE's score."""
    import torch
    from torchmetrics.functional.classification import binary_f1_score

    with torch.inference_mode():
        pairs = [(model(**batch).logits.argmax(-1), batch["labels"]) for batch in loader]
    guesses, labels = (torch.cat(column) for column in zip(*pairs, strict=True))
    accuracy = float((guesses == labels).double().mean())
    f1 = float(binary_f1_score(guesses, labels))
    return {"val/accuracy": accuracy, "val/f1": f1, "val/score": (accuracy + f1) / 2}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)  # of a seed's own process
    add_at_once(parser)
    arguments = parser.parse_args()
    if arguments.into is not None:
        train(arguments.dataset, arguments.seeds[0], arguments.into)
        return
    options = ("--dataset", arguments.dataset)
    runs: list[Run] = [PlainRun("plain-mrpc", "", seed, options) for seed in arguments.seeds]
    execute_all(runs, arguments.at_once)
    print(table(runs))


if __name__ == "__main__":
    main()
