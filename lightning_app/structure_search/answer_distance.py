"""How far a changed model's answers are from those that it gave before."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_app.functional.distillation import (
    soft_multi_label_losses,
    soft_regression_losses,
    soft_target_losses,
)
from modules.layer_replay import LayerReplay
from modules.text_classifier import TextClassifier

ANSWER_LOSSES = {
    "single_label_classification": soft_target_losses,
    "multi_label_classification": soft_multi_label_losses,
    "regression": soft_regression_losses,
}


class AnswerDistance:
    """Mean divergence of answers from those of the model at the time that this was made.

    Of classes the Kullback-Leibler divergence, of several labels its mean over them, of values
    the squared error.

    Args:
        model: With its network built, in evaluation mode; whole at this time.
        batches: What its network is called with, on its device; they stay in memory.
    """

    def __init__(self, model: TextClassifier, batches: Sequence[Mapping[str, Tensor]]) -> None:
        assert model.network is not None
        assert model.task is not None
        self._losses = ANSWER_LOSSES[model.task.problem_type]
        self._replay = LayerReplay(model.network, batches)
        self._count = len(batches)
        self._answers = [self._replay.logits(number) for number in range(self._count)]

    def start_at(self, layer: int) -> None:
        """Compute from this layer on; those below must be as they were in the beginning."""
        self._replay.start_at(layer)

    @torch.inference_mode()
    def of_present_model(self) -> float:
        """Mean over rows, of the model as it is now."""
        losses = [
            self._losses(self._replay.logits(number), answers)
            for number, answers in enumerate(self._answers)
        ]
        return float(torch.cat(losses).double().mean())
