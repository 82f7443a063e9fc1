"""Run a few steps of a fit to know its course and its cost, and stop."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_app.commands.timeline import Timeline
from lightning_app.errors import InputError
from modules.network_inputs import network_inputs
from modules.text_classifier import TextClassifier

MEASURED_BATCHES = 3
"""Validation batches that are timed."""


class Plan:
    """Prints what a fit would do: for each moment the learning rate, sparsity, weights of the
    terms and rounding, and how long it will take, from a few steps that are really run.

    Nothing is kept of these steps. A teacher is asked at each of them, cached or not, so that a
    fit with `cache: true` takes less than is said.

    Args:
        num_steps: Optimizer steps to time, after as many to warm up.
        output: JSON file for the course of every step; the picture has its name and ends in .png.
        checkpoint: File to write the network of these few steps to, as a stand-in for the result.
    """

    def __init__(
        self, num_steps: int = 5, output: str | None = None, checkpoint: str | None = None
    ) -> None:
        if num_steps < 1:
            raise InputError(f"Expected `plan.num_steps` to be at least 1, got {num_steps}.")
        if output is not None and not output.endswith(".json"):
            raise InputError(f"Expected `plan.output` to end in .json, got {output!r}.")
        self.num_steps = num_steps
        self.output = None if output is None else Path(output)
        self.checkpoint = None if checkpoint is None else Path(checkpoint)


class FewSteps(Callback):
    """Stops a fit after a few optimizer steps, and knows by then what the whole would have been.

    It must come last, so that all others have prepared themselves.

    Args:
        num_steps: To time, after as many to warm up.
    """

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self._ends: list[float] = []
        self._course: dict[str, list[float | str]] = {}
        self._steps = 0
        self._validation = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask every callback for its course."""
        total = trainer.estimated_stepping_batches
        if total == float("inf"):
            raise InputError("Expected a run of known length to plan; set `trainer.max_steps`.")
        self._steps = int(total)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        for step in range(self._steps + 1):
            for name, value in _course(trainer, step, rate).items():
                self._course.setdefault(name, []).append(value)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the time after each optimizer step; stop after the last."""
        if trainer.fit_loop._should_accumulate():
            return
        self._ends.append(time.perf_counter())
        if len(self._ends) > 2 * self.num_steps:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Time a few batches of the validation."""
        assert isinstance(pl_module, TextClassifier)
        self._validation = _seconds_a_validation(trainer, pl_module)

    def timeline(self, trainer: Trainer, model: TextClassifier) -> Timeline:
        """Of the whole run."""
        gaps = [b - a for a, b in zip(self._ends, self._ends[1:], strict=False)]
        timed = gaps[-self.num_steps :] or [0.0]
        assert model.network is not None
        return Timeline(
            steps=self._steps,
            epochs=trainer.max_epochs,
            course=self._course,
            seconds_a_step=median(timed),
            measured_steps=len(timed),
            seconds_a_validation=self._validation,
            validations=max(1, int(trainer.max_epochs or 1)),
            parameters=sum(p.numel() for p in model.network.parameters()),
        )


def _course(trainer: Trainer, step: int, rate: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        course: Callable[[int], dict[str, Any]] | None = getattr(callback, "course", None)
        if course is not None:
            for name, value in course(step).items():
                twice = name in found
                found[f"{name} ({type(callback).__name__})" if twice else name] = value
    return {"learning rate": rate, **found}


@torch.no_grad()
def _seconds_a_validation(trainer: Trainer, model: TextClassifier) -> float:
    context = getattr(trainer.precision_plugin, "forward_context", nullcontext)
    seconds = 0.0
    was_training = model.training
    model.eval()
    for loader in trainer.datamodule.val_dataloader():  # type: ignore[attr-defined]
        started, count = time.perf_counter(), 0
        for batch in loader:
            inputs = {k: t.to(model.device) for k, t in network_inputs(batch).items()}
            with context():
                model(**inputs)
            count += 1
            if count == MEASURED_BATCHES:
                break
        seconds += (time.perf_counter() - started) / max(count, 1) * len(loader)
    model.train(was_training)
    return seconds
