"""Losses, learning rates, throughput and memory, every few steps."""

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class TrainingLog(Callback):
    """Writes to the logger every `trainer.log_every_n_steps` steps.

    ``train/loss`` and one ``train/<term>_loss`` a term, ``lr/<group>``, and under
    ``throughput/``: samples and real (not padding) tokens a second over all processes, and the
    share of padding. Time counts from batch to batch, data loading included, validation not.

    It writes before a checkpoint of the same step is saved, so that a killed and resumed run has
    each line once.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.tokens = 0
        self.padded_tokens = 0
        self.seconds = 0.0
        self._mark = 0.0
        self._window = (0, 0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Totals so far."""
        names = ("samples", "tokens", "padded_tokens", "seconds")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        for name, value in state_dict.items():
            setattr(self, name, value)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start_window()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock where the middle of an epoch is resumed."""
        self._start_window()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Do not count the validation."""
        self._mark = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: dict[str, Any],
        batch_idx: int,
    ) -> None:
        """Count the batch, and write if it is time."""
        now = time.perf_counter()
        self.seconds += now - self._mark
        self._mark = now
        self.samples += batch["num_rows"] * trainer.world_size
        self.tokens += batch["num_tokens"] * trainer.world_size
        self.padded_tokens += batch["input_ids"].numel() * trainer.world_size
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.global_step % every or trainer.fit_loop._should_accumulate():
            return
        losses = self._losses(pl_module)
        if pl_module.device.type != "cpu":  # there the module shows it itself, at each step
            trainer.progress_bar_metrics["train/loss"] = losses["train/loss"]
        if trainer.logger is not None:
            values = {**losses, **_learning_rates(trainer), **self._rates()}
            # Lightning numbers what it logs from 0, too.
            trainer.logger.log_metrics(values, step=trainer.global_step - 1)
        self._start_window()

    @property
    def padding_share(self) -> float:
        """Share of padding in all tokens so far, in [0, 1]."""
        return 1 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0

    def _start_window(self) -> None:
        self._mark = time.perf_counter()
        self._window = (self.samples, self.tokens, self.seconds)

    def _rates(self) -> dict[str, float]:
        samples, tokens, seconds = self._window
        elapsed = max(self.seconds - seconds, 1e-9)
        return {
            "throughput/samples_per_second": (self.samples - samples) / elapsed,
            "throughput/tokens_per_second": (self.tokens - tokens) / elapsed,
            "throughput/padding_share": self.padding_share,
            "memory/peak_mb": peak_memory_mb(),
        }

    def _losses(self, pl_module: LightningModule) -> dict[str, float]:
        losses: dict[str, Any] = getattr(pl_module, "last_losses", {})
        named = {f"train/{name}_loss": float(value) for name, value in losses.items()}
        return {"train/loss": sum(named.values()), **named}


def peak_memory_mb() -> float:
    """Most memory taken so far in MiB: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _learning_rates(trainer: Trainer) -> dict[str, float]:
    groups = trainer.optimizers[0].param_groups
    return {f"lr/{group.get('name', i)}": group["lr"] for i, group in enumerate(groups)}
