"""The ways to fine-tune the same model on the same rows; each steps when it is its turn."""

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from benchmarks.turns import Turn
from datamodules import GLUEDataModule
from lightning_app.precision import choose_precision
from lightning_app.pretrained import load_tokenizer, resolve_model

BATCH_SIZE = {"mrpc": 8, "sst2": 32}
MANY = 1_000_000
LEARNING_RATE = 2e-5


def rows(task: str, dataset: str, split: str = "train") -> Dataset:
    """Tokenized rows as the tutorial has them."""
    tokenizer = load_tokenizer("embedded")
    data = GLUEDataModule(task, dataset=dataset)
    raw = data.raw_split(split)
    columns = data.task.text_columns

    def tokenize(batch: dict[str, list[str]]) -> Any:
        return tokenizer(*(batch[c] for c in columns), truncation=True, max_length=128)

    drop = [c for c in raw.column_names if c != "label"]
    return raw.map(tokenize, batched=True, remove_columns=drop).rename_column("label", "labels")


def network() -> Any:
    """The pretrained model with a new head, as `transformers` loads it."""
    folder = resolve_model("embedded")
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).train()


def task_loss(model: Any, batch: Any) -> torch.Tensor:
    """As `transformers` computes it."""
    loss: torch.Tensor = model(**batch).loss
    return loss


def plain(
    task: str, dataset: str, turn: Turn, loss: Callable[[Any, Any], torch.Tensor] = task_loss
) -> None:
    """The loop of the Hugging Face course, chapter 3.4."""
    model = network()
    collate = DataCollatorWithPadding(load_tokenizer("embedded"))
    loader = DataLoader(
        rows(task, dataset), batch_size=BATCH_SIZE[task], shuffle=True, collate_fn=collate
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / MANY)
    while True:
        for batch in loader:
            if not turn.step(int(batch["attention_mask"].sum())):
                return
            loss(model, batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def accelerate(task: str, dataset: str, turn: Turn) -> None:
    """The same loop with Accelerate, as the course has it next."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = network()
    collate = DataCollatorWithPadding(load_tokenizer("embedded"))
    loader = DataLoader(
        rows(task, dataset), batch_size=BATCH_SIZE[task], shuffle=True, collate_fn=collate
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    loader, model, optimizer = accelerator.prepare(loader, model, optimizer)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / MANY)
    while True:
        for batch in loader:
            if not turn.step(int(batch["attention_mask"].sum())):
                return
            accelerator.backward(model(**batch).loss)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def trainer_in_turns(turn: Turn) -> type[Trainer]:
    """HF Trainer that takes turns step by step."""

    class Stepping(Trainer):
        def training_step(self, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
            if not turn.step(int(inputs["attention_mask"].sum())):
                sys.exit()
            return super().training_step(model, inputs, *more, **named)

    return Stepping


def trainer(task: str, dataset: str, turn: Turn, **flags: Any) -> None:
    """HF Trainer; `flags` are TrainingArguments."""

    arguments = TrainingArguments(
        tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH_SIZE[task],
        num_train_epochs=100,
        learning_rate=LEARNING_RATE,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **flags,
    )
    collate = DataCollatorWithPadding(load_tokenizer("embedded"))
    data = rows(task, dataset)
    make = trainer_in_turns(turn)
    make(network(), arguments, train_dataset=data, data_collator=collate).train()


def glint(
    task: str,
    dataset: str,
    turn: Turn,
    precision: str | None = None,
    more: tuple[Any, ...] = (),
    rows: int | None = None,
    layers: int | None = None,
) -> None:
    """`glint fit` with the precision, callbacks and logger that it has by default, and `more`."""
    import lightning.pytorch as pl

    class Stepping(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
            if not turn.step(batch["num_tokens"]):
                os._exit(0)

    from lightning.pytorch.loggers import TensorBoardLogger

    from callbacks import (
        CompressionMonitor,
        CPUKernels,
        FiniteLoss,
        LearningRateSchedule,
        RandomState,
        RunCheckpoint,
        RunSummary,
        TrainingLog,
        ValidationPictures,
    )
    from modules import TextClassifier
    from modules.student_structure import StudentStructure

    folder = tempfile.mkdtemp()
    pl.seed_everything(0)
    ours = [RunCheckpoint(), FiniteLoss(), RandomState(), RunSummary(), TrainingLog()]
    pl.Trainer(
        accelerator="cpu",
        precision=precision or choose_precision("cpu"),  # type: ignore[arg-type]
        max_epochs=100,
        default_root_dir=folder,
        logger=TensorBoardLogger(folder),
        log_every_n_steps=20,
        callbacks=[
            *(CPUKernels(), LearningRateSchedule(), *more),
            *(CompressionMonitor(), ValidationPictures(), *ours, Stepping()),
        ],
        limit_val_batches=0,
        use_distributed_sampler=False,
    ).fit(
        TextClassifier(
            "embedded",
            learning_rate=LEARNING_RATE,
            structure=None if layers is None else StudentStructure(num_layers=layers),
        ),
        GLUEDataModule(
            task, dataset=dataset, train_batch_size=BATCH_SIZE[task], max_train_rows=rows
        ),
    )


def bare(task: str, dataset: str, turn: Turn) -> None:
    """Glint's data, kernels and optimizer in a bare loop: what the Trainer around them costs."""
    from lightning_app.allocator import keep_large_blocks
    from lightning_app.matmul import onednn_matmul
    from modules import TextClassifier
    from modules.network_inputs import network_inputs

    keep_large_blocks()
    data = GLUEDataModule(
        task, dataset=dataset, train_batch_size=BATCH_SIZE[task], tokenizer="embedded"
    )
    data.prepare_data()
    data.setup("fit")
    module = TextClassifier("embedded", learning_rate=LEARNING_RATE)
    module.build(data.task)
    optimizer = module.configure_optimizers()
    loader = data.train_dataloader()
    with onednn_matmul():
        for epoch in range(100):
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                if not turn.step(batch["num_tokens"]):
                    return
                outputs = module(**network_inputs(batch))
                loss = module.objective(batch, outputs)["task"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


RIVALS: dict[str, Any] = {
    "plain loop": plain,
    "Accelerate": accelerate,
    "HF Trainer": trainer,
    "HF Trainer, best flags": lambda *a: trainer(
        *a, optim="adamw_torch_fused", train_sampling_strategy="group_by_length"
    ),
    "Glint": glint,
    "Glint's kernels, bare loop, fp32": bare,
    "HF Trainer, best flags, bf16": lambda *a: trainer(
        *a, optim="adamw_torch_fused", train_sampling_strategy="group_by_length", bf16=True
    ),
    "Glint, fp32": lambda *a: glint(*a, precision="32-true"),
}


if __name__ == "__main__":
    RIVALS[sys.argv[1]](sys.argv[2], sys.argv[3], Turn())
