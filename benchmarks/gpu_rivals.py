"""Ways to fine-tune a network of BERT-base's size in bfloat16, compiled; each steps at its turn."""

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DataCollatorWithPadding,
    TrainingArguments,
)

from benchmarks import training_rivals
from benchmarks.turns import Turn
from lightning_app.pretrained import load_tokenizer

LEARNING_RATE = 2e-5
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


@dataclass(frozen=True)
class Setting:
    """What all rivals have in common.

    Args:
        device: ``cuda`` or ``cpu``.
        model: Folder of :func:`save_network`.
        task: GLUE's.
        dataset: Folder in the layout of nyu-mll/glue, or ``embedded``.
        batch: Rows.
        compile: Whether the network is compiled.
        memory: File for the peak of memory.
    """

    device: str
    model: str
    task: str
    dataset: str
    batch: int
    compile: bool
    memory: str


class DeviceTurn(Turn):
    """Waits for the device at the end of a turn, and writes down the most memory so far."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting

    def step(self, num_tokens: int) -> bool:
        """As `Turn`."""
        if self._left == 0 and self.setting.device == "cuda":
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated() / 2**20
            Path(self.setting.memory).write_text(json.dumps(peak))
        return super().step(num_tokens)


def save_network(sizes: dict[str, int], folder: str) -> None:
    """A BERT of these sizes with random weights, and the embedded model's tokenizer."""
    tokenizer = load_tokenizer("embedded")
    config = BertConfig(
        vocab_size=len(tokenizer), intermediate_size=4 * sizes["hidden_size"], **sizes
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def rows(setting: Setting) -> Dataset:
    """As the tutorial has them."""
    return training_rivals.rows(setting.task, setting.dataset)


def network(setting: Setting) -> Any:
    """As `transformers` loads it."""
    loaded = AutoModelForSequenceClassification.from_pretrained(setting.model, num_labels=2)
    return loaded.train().to(setting.device)


def plain(setting: Setting, turn: Turn) -> None:
    """The loop of the Hugging Face course, with autocast and `torch.compile`."""
    model = network(setting)
    if setting.compile:
        model.compile(dynamic=True)
    collate = DataCollatorWithPadding(load_tokenizer("embedded"))
    loader = DataLoader(rows(setting), setting.batch, shuffle=True, collate_fn=collate)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    while True:
        for batch in loader:
            if not turn.step(int(batch["attention_mask"].sum())):
                return
            here = {name: tensor.to(setting.device) for name, tensor in batch.items()}
            with torch.autocast(setting.device, dtype=torch.bfloat16):
                loss = model(**here).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()


def trainer(setting: Setting, turn: Turn) -> None:
    """HF Trainer with its best flags."""

    arguments = TrainingArguments(
        tempfile.mkdtemp(),
        per_device_train_batch_size=setting.batch,
        num_train_epochs=100,
        learning_rate=LEARNING_RATE,
        save_strategy="no",
        report_to=[],
        use_cpu=setting.device == "cpu",
        disable_tqdm=True,
        dataloader_pin_memory=setting.device == "cuda",
        optim="adamw_torch_fused",
        train_sampling_strategy="group_by_length",
        bf16=True,
        torch_compile=setting.compile,
    )
    collate = DataCollatorWithPadding(load_tokenizer("embedded"), pad_to_multiple_of=8)
    model = network(setting)
    make = training_rivals.trainer_in_turns(turn)
    make(model, arguments, train_dataset=rows(setting), data_collator=collate).train()


def glint(setting: Setting, turn: Turn) -> None:
    """`glint fit --config configs/trainer/gpu.yaml`, with the callbacks that it has by default."""
    import lightning.pytorch as pl

    from callbacks import CPUKernels, FiniteLoss, LearningRateSchedule, RandomState, TrainingLog
    from datamodules import GLUEDataModule
    from modules import TextClassifier

    class Stepping(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
            if not turn.step(batch["num_tokens"]):
                os._exit(0)

    pl.seed_everything(0)
    ours = [CPUKernels(), LearningRateSchedule(), FiniteLoss(), RandomState(), TrainingLog()]
    pl.Trainer(
        accelerator="gpu" if setting.device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed",
        max_epochs=100,
        default_root_dir=tempfile.mkdtemp(),
        enable_checkpointing=False,
        callbacks=[*ours, Stepping()],
        limit_val_batches=0,
        use_distributed_sampler=False,
    ).fit(
        TextClassifier(setting.model, learning_rate=LEARNING_RATE, compile=setting.compile),
        GLUEDataModule(
            setting.task,
            dataset=setting.dataset,
            train_batch_size=setting.batch,
            pad_to_multiple_of=8,
        ),
    )


RIVALS: dict[str, Any] = {"plain loop": plain, "HF Trainer": trainer, "Glint": glint}


if __name__ == "__main__":
    given = Setting(**json.loads(sys.argv[2]))
    RIVALS[sys.argv[1]](given, DeviceTurn(given))
