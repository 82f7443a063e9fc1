from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from callbacks import TrainingLog
from datamodules.collator import Batch
from modules import TextClassifier
from tests.tiny_fit import fit

# What the tiny tokenizer makes of "the film was (very)* word": 6 tokens and up to 4 `very`.
TOKENS = sum(6 + row % 5 for row in range(24))


class Lines(Logger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, dict[str, float]]] = []

    name = "lines"
    version = 0

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if "train/loss" in metrics and step is not None:
            self.lines.append((step, metrics))


class Batches(Callback):
    """Keeps the batches and the losses of the steps."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.losses: list[float] = []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.batches.append(batch)
        self.losses.append(float(outputs["loss"]))


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2, 3, 4, 5]), (2, [1, 3, 5]), (4, [3])])
def test_writes_the_loss_of_each_nth_step(
    tiny_model: str, reviews: Path, every: int, steps: list[int]
) -> None:
    logger, seen = Lines(), Batches()
    fit(tiny_model, reviews, TrainingLog(), seen, logger=logger, log_every_n_steps=every)
    assert [step for step, _ in logger.lines] == steps
    for step, line in logger.lines:
        assert line["train/loss"] == pytest.approx(seen.losses[step], rel=1e-6)
        assert line["train/task_loss"] == line["train/loss"]
        assert (line["lr/decay"], line["lr/no_decay"]) == (1e-3, 1e-3)
        assert line["throughput/samples_per_second"] > 0
        assert line["memory/peak_mb"] > 50


def test_counts_samples_real_tokens_and_padding(tiny_model: str, reviews: Path) -> None:
    log, seen = TrainingLog(), Batches()
    fit(tiny_model, reviews, log, seen, max_epochs=2)
    padded = sum(batch["input_ids"].numel() for batch in seen.batches)
    assert (log.samples, log.tokens, log.padded_tokens) == (48, 2 * TOKENS, padded)
    assert log.padding_share == pytest.approx(1 - 2 * TOKENS / padded)
    assert log.seconds > 0


def test_terms_are_logged_by_name_and_sum_to_the_loss(tiny_model: str, reviews: Path) -> None:
    logger, model = Lines(), TextClassifier(tiny_model)
    model.objective.add("const", lambda batch, out: out.logits.new_tensor(3.0), weight=0.5)
    fit(tiny_model, reviews, TrainingLog(), model=model, logger=logger, log_every_n_steps=3)
    for _, line in logger.lines:
        assert line["train/const_loss"] == 1.5
        assert line["train/loss"] == pytest.approx(line["train/task_loss"] + 1.5)


def test_with_accumulation_each_optimizer_step_has_one_line(tiny_model: str, reviews: Path) -> None:
    logger = Lines()
    options: dict[str, Any] = {"accumulate_grad_batches": 2, "log_every_n_steps": 1}
    fit(tiny_model, reviews, TrainingLog(), logger=logger, **options)
    assert [step for step, _ in logger.lines] == [0, 1, 2]


def test_totals_go_on_from_the_saved_ones() -> None:
    log = TrainingLog()
    totals = {"samples": 8, "tokens": 90, "padded_tokens": 120, "seconds": 2.0}
    log.load_state_dict(totals)
    assert log.state_dict() == totals
    assert log.padding_share == 0.25
    assert TrainingLog().padding_share == 0.0
