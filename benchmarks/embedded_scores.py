"""What a pretrained and a random network score on each task of the embedded data set.

    python -m benchmarks.embedded_scores

MiniLM-L6 with its weights and with random ones: batch 16, learning rate 1e-4, 10 % warm-up,
gradients clipped at 1, 5 epochs, one seed. Each run is a `glint fit` in `runs/scores`; finished
ones are skipped.
"""

import argparse
from pathlib import Path

from benchmarks.fits import ROOT, Run, add_at_once, execute_all, table
from lightning_app.pretrained import load_config, load_tokenizer, network_from_config

TASKS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")

WEIGHTS = ("pretrained", "random")


def random_model(folder: Path) -> str:
    """A folder with MiniLM's structure and tokenizer, and random weights."""
    if not (folder / "config.json").exists():
        config = load_config("embedded")
        network_from_config(config.to_dict()).save_pretrained(folder)
        load_tokenizer("embedded").save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--weights", nargs="+", default=WEIGHTS, choices=WEIGHTS)
    add_at_once(parser)
    arguments = parser.parse_args()
    models = {"pretrained": "embedded", "random": random_model(ROOT / "random-model")}
    setting = (
        "--data.train_batch_size=16",
        f"--trainer.max_epochs={arguments.epochs}",
        "--model.learning_rate=1e-4",
        "--trainer.gradient_clip_val=1.0",
    )
    runs = [
        Run(
            f"embedded-{task}-{weights}-{arguments.epochs}ep",
            "configs/demo.yaml",
            1,
            (f"--data.task_name={task}", f"--model.model_name_or_path={model}", *setting),
        )
        for task in arguments.tasks
        for weights, model in models.items()
        if weights in arguments.weights
    ]
    execute_all(runs, arguments.at_once)
    print(table(runs))


if __name__ == "__main__":
    main()
