"""Score a model on the same rows again and again, while it is changed in between."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightning_app.errors import InputError
from lightning_app.task import Task
from modules.layer_replay import LayerReplay
from modules.metrics import TaskMetrics
from modules.network_inputs import network_inputs
from modules.text_classifier import TextClassifier

Precision = Callable[[], AbstractContextManager[Any]]
"""Makes the context in which the network is called, such as the Trainer's autocast."""


class Score(NamedTuple):
    """The task's score, as `val/score`, and the mean loss; means over the splits."""

    score: float
    loss: float


class RowScorer:
    """Scores a model as `glint validate` does; the batches stay in memory, on its device.

    Args:
        model: With its network built, in evaluation mode.
        task: Of the rows; says the metrics.
        loaders: Batches by the name of their split.
        precision: Of the network's calls.
    """

    def __init__(
        self,
        model: TextClassifier,
        task: Task,
        loaders: Mapping[str, Iterable[dict[str, Any]]],
        precision: Precision = nullcontext,
    ) -> None:
        assert model.network is not None
        self._task, self._device, self._precision = task, model.device, precision
        self._splits = tuple(loaders)
        self._batches = [
            (split, _on_device(batch, split, model.device))
            for split, loader in loaders.items()
            for batch in loader
        ]
        inputs = [network_inputs(batch) for _, batch in self._batches]
        self._replay = LayerReplay(model.network, inputs)

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows by split."""
        counts = dict.fromkeys(self._splits, 0)
        for split, batch in self._batches:
            counts[split] += len(batch["labels"])
        return counts

    def score(self, from_layer: int = 0) -> Score:
        """Score the model as it is now.

        Args:
            from_layer: No encoder layer below this one has changed since the last call; they are
                not computed again.
        """
        metrics = {split: TaskMetrics(self._task).to(self._device) for split in self._splits}
        with torch.inference_mode(), self._precision():
            self._replay.start_at(from_layer)
            for number, (split, batch) in enumerate(self._batches):
                logits = self._replay.logits(number)
                metrics[split].update(batch["index"], logits, batch["labels"])
            values = [metric.compute() for metric in metrics.values()]
        return Score(*(_mean([v[name] for v in values]) for name in ("score", "loss")))


def _on_device(batch: dict[str, Any], split: str, device: torch.device) -> dict[str, Any]:
    if "labels" not in batch:
        raise InputError(
            f"Expected labels in the {split} data, but it has none; choose data that has."
        )
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}


def _mean(values: list[Tensor]) -> float:
    return float(torch.stack(values).mean())
