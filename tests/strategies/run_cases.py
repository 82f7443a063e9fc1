"""One process of a fit of each case under a strategy: `python -m tests.strategies.run_cases`.

All cases run in the same processes, one after another: starting them takes longer than a case.
"""

import faulthandler
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import (
    Distillation,
    LearningRateSchedule,
    MagnitudePruning,
    QuantizationAwareTraining,
    StructuredPruning,
)
from lightning_app.checkpoint_io import AtomicCheckpointIO
from lightning_app.errors import InputError
from lightning_app.sharded_strategy import ShardedStrategy
from modules import TextClassifier
from tests.callbacks.all_callbacks import CASES, OBSERVED, STEPS
from tests.tiny_fit import quiet_trainer, reviews_data

STRATEGIES: dict[str, Callable[[], dict[str, Any]]] = {
    "one": dict,
    "ddp": lambda: {"strategy": "ddp", "devices": 2},
    "fsdp": lambda: {"strategy": ShardedStrategy(), "devices": 2},
}
SAVED_AT = 9
GLOBAL_BATCH = 4


class SaveAt(Callback):
    """Saves a checkpoint after an optimizer step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == SAVED_AT:
            trainer.save_checkpoint(self.path)


class DoubleWeights(Callback):
    """Trains in float64: AdamW makes of float32's noise in a gradient of zero a whole step.

    Lightning's `64-true` is not for sharded models.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, TextClassifier)
        pl_module.ensure_network()
        pl_module.double()


def _pruned() -> list[Callback]:
    return [
        StructuredPruning(heads=0.5, neurons=0.5, num_samples=16),
        Distillation(hidden_states=1.0),
        LearningRateSchedule(warmup_fraction=0.2),
    ]


ALL: dict[str, Callable[[], list[Callback]]] = {
    **{case.name: lambda make=case.make: [make()] for case in CASES},  # type: ignore[misc]
    "recipe": lambda: [*_pruned(), MagnitudePruning(sparsity=0.5, schedule=STEPS)],
    "recipe_quantized": lambda: [*_pruned(), QuantizationAwareTraining(**OBSERVED)],
}


def run(strategy: str, name: str, model: str, reviews: Path, out: Path, start: str | None) -> None:
    """Fit; write what came out to ``out``, of each process."""
    torch.manual_seed(1)
    callbacks = [DoubleWeights(), *ALL[name](), SaveAt(out / f"{strategy}-{name}.ckpt")]
    options = STRATEGIES[strategy]()
    trainer = quiet_trainer(*callbacks, max_epochs=3, plugins=[AtomicCheckpointIO()], **options)
    network = TextClassifier(
        model, 1e-3, adam_epsilon=1e-4, hidden_dropout=0.0, attention_dropout=0.0
    )
    data = reviews_data(reviews, train_batch_size=GLOBAL_BATCH // options.get("devices", 1))
    resumed = None if start is None else out / f"{start}-{name}.ckpt"
    if resumed is not None:
        _wait_for(resumed)
        trainer.callbacks.pop()  # type: ignore[attr-defined]
    try:
        trainer.fit(network, datamodule=data, ckpt_path=resumed)
        found = outcome(trainer)
    except InputError as error:
        found = {"refused": str(error)}
    to = out / f"{strategy}{'' if start is None else f'-from-{start}'}-{name}-{trainer.global_rank}"
    torch.save(found, to.with_suffix(".part"))
    to.with_suffix(".part").replace(to.with_suffix(".pt"))


def outcome(trainer: Trainer) -> dict[str, Any]:
    """Weights, structure, masks and metrics."""
    model: Any = trainer.lightning_module
    masks = {
        type(callback).__name__: dict(callback.masks)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if getattr(callback, "masks", None)
    }
    return {
        "steps": trainer.global_step,
        "weights": dict(trainer.strategy.lightning_module_state_dict()),
        "architecture": model.architecture.as_plain(),
        "masks": masks,
        "metrics": {k: float(v) for k, v in trainer.callback_metrics.items() if "val" in k},
    }


def _wait_for(path: Path) -> None:
    for _ in range(1200):
        if path.is_file():
            return
        time.sleep(0.1)
    raise TimeoutError(f"no {path}: has the other process failed?")


def main(strategy: str, model: str, reviews: str, out: str, *rest: str) -> None:
    """Each case from its beginning, then each from the other's checkpoint: ``CASE[<START]``."""
    for name in rest:
        case, _, start = name.partition("<")
        run(strategy, case, model, Path(reviews), Path(out), start or None)


if __name__ == "__main__":
    faulthandler.dump_traceback_later(300, exit=True)  # a deadlock says where
    main(*sys.argv[1:])
