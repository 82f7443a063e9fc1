"""How close a smaller model's answers come when it is trained for a little while."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from lightning_app.precision import multiplies_bfloat16
from lightning_app.structure_search.answer_distance import ANSWER_LOSSES
from lightning_app.structure_search.structure_choice import LayerChoice
from modules.text_classifier import TextClassifier

_LEARNING_RATE = 1e-4
_WARMUP = 0.1
"""Share of the steps."""


class RecoveryTrial:
    """Trains copies of a model, made smaller, on the answers that the whole one gave.

    What a structure loses before training hardly says what it loses after it: layers that are cut
    to a sliver are close to the model and learn badly, whole layers of which some are missing are
    far from it and learn well.

    Args:
        model: With its network built, whole at this time; it stays as it is.
        trained: Batches to learn from, on its device, each used once: so many steps.
        held_back: Batches to compare answers on.
        seed: Of dropout.
    """

    def __init__(
        self,
        model: TextClassifier,
        trained: Sequence[Mapping[str, Tensor]],
        held_back: Sequence[Mapping[str, Tensor]],
        seed: int,
    ) -> None:
        assert model.network is not None
        assert model.task is not None
        self._model = model
        self._losses = ANSWER_LOSSES[model.task.problem_type]
        self._trained, self._held_back = trained, held_back
        self._lessons = list(self._answers(model.network, trained))
        self._truth = list(self._answers(model.network, held_back))
        self._seed = seed

    @property
    def num_steps(self) -> int:
        """Of the longest training."""
        return len(self._trained)

    def loss(
        self, layers: Sequence[LayerChoice], num_steps: int, done: Callable[[], object]
    ) -> float:
        """Mean divergence on the rows that were held back, after training.

        Args:
            layers: What becomes of each.
            num_steps: Of training, at most `num_steps`; the learning rate falls to 0 over them.
            done: Is called after each step.
        """
        small = _made_smaller(self._model, layers)
        devices = [] if small.device.type == "cpu" else [small.device]
        with torch.random.fork_rng(devices), torch.enable_grad():
            torch.manual_seed(self._seed)
            self._train(small, num_steps, done)
        pairs = zip(self._answers(small, self._held_back), self._truth, strict=True)
        return float(torch.cat([self._losses(*pair) for pair in pairs]).double().mean())

    def _train(self, network: Any, num_steps: int, done: Callable[[], object]) -> None:
        network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: _share_of_rate(step, num_steps)
        )
        lessons = zip(self._trained[:num_steps], self._lessons[:num_steps], strict=True)
        for batch, answers in lessons:
            with _fast_products(network.device):
                logits = network(**batch).logits
            torch.autograd.backward(self._losses(logits, answers).mean())
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done()

    @torch.inference_mode()
    def _answers(self, network: Any, batches: Sequence[Mapping[str, Tensor]]) -> Iterator[Tensor]:
        network.eval()
        for batch in batches:
            yield network(**batch).logits.float().clone()


def _made_smaller(model: TextClassifier, layers: Sequence[LayerChoice]) -> Any:
    """The network of a copy."""
    small = copy.deepcopy(model)
    kept = [layer for layer in layers if layer.is_kept]
    small.keep_layers([layer.layer for layer in kept])
    small.prune_structure([list(c.heads) for c in kept], [list(c.neurons) for c in kept])
    return small.network


def _share_of_rate(step: int, num_steps: int) -> float:
    """Of the learning rate: a short rise, then a line to 0."""
    warmup = max(1, round(_WARMUP * num_steps))
    if step < warmup:
        return (step + 1) / warmup
    return (num_steps - step) / max(1, num_steps - warmup)


def _fast_products(device: torch.device) -> AbstractContextManager[object]:
    if device.type == "cpu" and not multiplies_bfloat16():
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
