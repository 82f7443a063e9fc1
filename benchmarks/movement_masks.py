"""Why movement pruning fails on short runs: what the first masks do to a fine-tuned model.

    python -m benchmarks.movement_masks --dataset FOLDER

Zeros a share of the encoder's weights of the dense model of `benchmarks.pruning` (sst2), chosen at
random, by magnitude, or by movement scores of an untouched model's first 94 training steps (a
tenth of the run), and scores it on 400 validation rows, without any training after it.
"""

import argparse
from collections.abc import Mapping

import torch
from torch import Tensor

from benchmarks.pruning import dense_run
from datamodules import GLUEDataModule
from lightning_app.functional.masks import threshold_mask
from lightning_app.functional.movement import score_gradient
from modules import TextClassifier
from modules.network_inputs import network_inputs

STEPS = 94
ROWS = 400


def movement_scores(
    model: TextClassifier, data: GLUEDataModule, weights: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Scores that AdamW has learned at rate 0.01, the weights left alone."""
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(list(scores.values()), lr=1e-2, weight_decay=0.0)
    loader = data.train_dataloader()
    model.train()
    for _, batch in zip(range(STEPS), loader, strict=False):
        model.zero_grad()
        model.objective(batch, model(**network_inputs(batch)))["task"].backward()  # type: ignore[no-untyped-call]
        for name, weight in weights.items():
            assert weight.grad is not None
            scores[name].grad = score_gradient(weight, weight.grad)
        optimizer.step()
    model.eval()
    return scores


@torch.no_grad()
def accuracy(model: TextClassifier, data: GLUEDataModule) -> float:
    """Share of right answers."""
    (loader,) = data.validation_part(ROWS)
    right = [model(**network_inputs(b)).logits.argmax(-1) == b["labels"] for b in loader]
    return float(torch.cat(right).float().mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    dataset = parser.parse_args().dataset
    checkpoint = dense_run("sst2", 1, dataset).folder / "checkpoints/best.ckpt"
    model = TextClassifier.load_from_checkpoint(checkpoint)
    options = {"max_train_rows": 10_000, "data_seed": 1, "train_batch_size": 32}
    data = GLUEDataModule("sst2", dataset=dataset, tokenizer="embedded", **options)
    data.prepare_data()
    data.setup("fit")
    weights = {n: p for n, p in model.named_parameters() if ".layer." in n and p.ndim == 2}
    whole = {name: weight.detach().clone() for name, weight in weights.items()}
    torch.manual_seed(0)
    scores = {
        "random": {name: torch.rand_like(weight) for name, weight in whole.items()},
        "magnitude": {name: weight.abs() for name, weight in whole.items()},
        "movement": movement_scores(model, data, weights),
    }
    print(
        f"dense {accuracy(model, data):.3f}\n\n| | 2 % | 10 % | 30 % |\n| --- | --- | --- | --- |"
    )
    for kind, by_name in scores.items():
        found = []
        for share in (0.02, 0.1, 0.3):
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(whole[name] * threshold_mask(by_name[name], share))
            found.append(accuracy(model, data))
        print(f"| {kind} | {' | '.join(f'{value:.3f}' for value in found)} |")


if __name__ == "__main__":
    main()
