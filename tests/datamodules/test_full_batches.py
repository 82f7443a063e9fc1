"""Rows that fill the last batch up change nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import (
    Distillation,
    MagnitudePruning,
    QuantizationAwareTraining,
    StructuredPruning,
    TrainingLog,
)
from modules import TextClassifier
from tests.callbacks.all_callbacks import ALL_TERMS, OBSERVED, STEPS
from tests.tiny_fit import quiet_trainer, reviews_data

CALLBACKS: dict[str, Any] = {
    "plain": lambda: [TrainingLog()],
    "distillation": lambda: [Distillation(**ALL_TERMS)],
    "pruning and rounding": lambda: [
        StructuredPruning(heads=0.5, neurons=0.5, schedule=STEPS),
        MagnitudePruning(sparsity=0.5, schedule=STEPS, exclude=["*output.dense"]),
        QuantizationAwareTraining(**OBSERVED),
    ],
}


class InDouble(Callback):
    """float32's noise, which AdamW makes a whole step of, would hide a difference."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, TextClassifier)
        pl_module.ensure_network()
        pl_module.double()


class Shapes(Callback):
    def __init__(self) -> None:
        self.seen: set[tuple[int, ...]] = set()

    def on_train_batch_end(self, trainer: Any, module: Any, out: Any, batch: Any, i: int) -> None:
        self.seen.add(tuple(batch["input_ids"].shape))

    def on_validation_batch_end(
        self, trainer: Any, module: Any, out: Any, batch: Any, i: int, loader: int = 0
    ) -> None:
        self.seen.add(tuple(batch["input_ids"].shape))


@pytest.mark.parametrize("name", CALLBACKS)
def test_filler_rows_change_nothing(name: str, tiny_model: str, reviews: Path) -> None:
    """24 rows in batches of 5: the last of an epoch has four; 10 to validate on, the last two."""

    def fit(full: bool) -> tuple[Trainer, Shapes]:
        torch.manual_seed(1)
        shapes = Shapes()
        trainer = quiet_trainer(InDouble(), *CALLBACKS[name](), shapes, max_epochs=3)
        model = TextClassifier(
            tiny_model, 1e-3, adam_epsilon=1e-4, hidden_dropout=0.0, attention_dropout=0.0
        )
        options: dict[str, Any] = {"fixed_lengths": [16], "max_seq_length": 16}
        data = reviews_data(
            reviews, train_batch_size=5, eval_batch_size=4, full_batches=full, **options
        )
        trainer.fit(model, datamodule=data)
        return trainer, shapes

    (filled, shapes), (ragged, others) = fit(full=True), fit(full=False)
    assert (shapes.seen, len(others.seen)) == ({(5, 16), (4, 16)}, 3)
    metrics = [{k: float(v) for k, v in t.callback_metrics.items()} for t in (filled, ragged)]
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-6)
    weights, expected = (t.lightning_module.state_dict() for t in (filled, ragged))
    torch.testing.assert_close(dict(weights), dict(expected), rtol=0, atol=1e-9)
    logs = [[c for c in t.callbacks if isinstance(c, TrainingLog)] for t in (filled, ragged)]  # type: ignore[attr-defined]
    counts = [[(log.samples, log.tokens) for log in of_fit] for of_fit in logs]
    assert counts[0] == counts[1]


def test_predictions_are_of_the_rows_there_are(tiny_model: str, reviews: Path) -> None:
    model = TextClassifier(tiny_model)
    predicted = []
    for full in (True, False):
        options = {"eval_batch_size": 4, "full_batches": full}
        data = reviews_data(reviews, test_file=str(reviews / "validation.csv"), **options)
        predicted.append(quiet_trainer().predict(model, datamodule=data))
    indices, others = ([row for b in p for row in b["index"].tolist()] for p in predicted)
    assert sorted(indices) == sorted(others) == list(range(10))
    for filled, ragged in zip(*predicted, strict=True):
        torch.testing.assert_close(filled["logits"], ragged["logits"], rtol=0, atol=1e-6)
