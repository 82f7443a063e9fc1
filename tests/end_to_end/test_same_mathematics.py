"""A fit computes what the loop that everybody writes by hand computes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_scheduler,
)

from callbacks import LearningRateSchedule
from datamodules import GLUEDataModule
from modules import TextClassifier

STEPS = 50
LENGTH = 48


class Losses(Callback):
    """Keeps each step's loss, and which rows it saw."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rows: list[list[int]] = []
        self.head: dict[str, Any] = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        state = pl_module.network.state_dict()
        self.head = {k: v.clone() for k, v in state.items() if k.startswith("classifier")}

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(outputs["loss"]))
        self.rows.append(batch["index"].tolist())


def _our_fit(model: str, task: str, dataset: str, max_steps: int, tmp_path: Path) -> Losses:
    seed_everything(1)
    kept = Losses()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=3,
        max_steps=max_steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[LearningRateSchedule(), kept],
        default_root_dir=tmp_path,
        limit_val_batches=0,
    )
    module = TextClassifier(model, hidden_dropout=0.0, attention_dropout=0.0, weight_decay=0.01)
    trainer.fit(
        module, GLUEDataModule(task, dataset=dataset, train_batch_size=8, max_seq_length=LENGTH)
    )
    return kept


def _plain_loop(model: str, data: GLUEDataModule, ours: Losses) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    network.load_state_dict(ours.head, strict=False)
    network.train()
    no_decay = [p for p in network.parameters() if p.ndim < 2]
    decay = [p for p in network.parameters() if p.ndim >= 2]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": no_decay, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=5e-5, fused=False)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=STEPS)
    collate = DataCollatorWithPadding(tokenizer)
    raw = data.raw_split("train")
    losses = []
    for rows in ours.rows:
        texts = [raw[row] for row in rows]
        features = [
            dict(tokenizer(t["sentence1"], t["sentence2"], truncation=True, max_length=LENGTH))
            for t in texts
        ]
        batch = collate(features)
        outputs = network(**batch, labels=torch.tensor([t["label"] for t in texts]))
        optimizer.zero_grad()
        outputs.loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(float(outputs.loss.detach()))
    return losses


def test_the_first_50_losses_are_the_plain_loops(tiny_model: str, tmp_path: Path) -> None:
    ours = _our_fit(str(tiny_model), "mrpc", "embedded", STEPS, tmp_path)
    data = GLUEDataModule("mrpc", dataset="embedded", tokenizer=str(tiny_model))
    plain = _plain_loop(str(tiny_model), data, ours)
    assert len(plain) == STEPS
    assert ours.losses == pytest.approx(plain, rel=1e-5)
    assert max(plain) - min(plain) > 1e-3  # it learns, so equality says something


def test_the_tutorials_setting_on_mrpc_makes_1377_steps(
    tiny_model: str, glue_folder: Path, tmp_path: Path
) -> None:
    ours = _our_fit(str(tiny_model), "mrpc", str(glue_folder), -1, tmp_path)
    assert len(ours.losses) == 1377
    assert sorted(row for rows in ours.rows[:459] for row in rows) == list(range(3668))
