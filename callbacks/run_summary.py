"""`metrics.json`: what a run achieved and what it cost."""

import json
import math
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.distributed.tensor import DTensor

from callbacks.compression import Compression, is_eligible
from callbacks.training_log import TrainingLog, peak_memory_mb
from lightning_app.energy import POWERCAP, EnergyCounter

PACKAGES = ("glint-text", "torch", "lightning", "transformers", "datasets", "torchmetrics")
_SECONDS_BETWEEN_READINGS = 10.0
"""Of the energy's counters, which begin anew after minutes."""


class RunSummary(Callback):
    """Writes `metrics.json` into the run's folder after each validation and at the end.

    Its keys: ``best`` and ``last`` (validation metrics with ``step`` and ``epoch``), ``history``,
    ``steps``, ``epochs``, ``seconds`` (training and validation, over all resumes), ``joules`` (of
    this machine's processor packages meanwhile, None where the kernel does not say),
    ``train_samples_per_second``, ``train_tokens_per_second``, ``padding_share``,
    ``peak_memory_mb``, ``parameters``, ``nonzero_share``, ``device``, ``precision``, ``seed``,
    ``versions``. At the end the configuration and the best metrics go to TensorBoard's HParams
    tab.

    Args:
        monitor: The metric by which ``best`` is chosen; higher is better.
        configuration: Flat options for the HParams tab; the module's by default.
        powercap: Folder where the kernel shows counters of energy.
    """

    def __init__(
        self,
        monitor: str = "val/score",
        configuration: dict[str, Any] | None = None,
        powercap: Path = POWERCAP,
    ) -> None:
        self.monitor = monitor
        self.configuration = configuration
        self.history: list[dict[str, Any]] = []
        self._seconds_before = 0.0
        self._start = time.monotonic()
        self._powercap = powercap
        self._joules_before: float | None = 0.0
        self._energy = EnergyCounter(powercap)
        self._next_reading = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Validations, seconds and joules so far."""
        return {"history": self.history, "seconds": self.seconds, "joules": self.joules}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the saved history."""
        self.history = state_dict["history"]
        self._seconds_before = state_dict["seconds"]
        self._joules_before = state_dict.get("joules")

    @property
    def seconds(self) -> float:
        """Wall time of the fit so far, over all resumes."""
        return self._seconds_before + time.monotonic() - self._start

    @property
    def joules(self) -> float | None:
        """Of the fit so far, over all resumes; None where a part of it was not read."""
        self._energy.read()
        joules, before = self._energy.joules, self._joules_before
        return None if joules is None or before is None else round(before + joules, 3)

    @property
    def best(self) -> dict[str, Any]:
        """Metrics of the best validation, among those of the fully compressed model, or empty."""
        eligible = [entry for entry in self.history if entry.get("compressed", True)]
        return max(eligible, key=self._score, default={})

    def _score(self, entry: dict[str, Any]) -> float:
        score = float(entry.get(self.monitor, "-inf"))
        return score if score == score else -math.inf  # NaN would be the best of all

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()
        self._energy = EnergyCounter(self._powercap)

    def on_train_batch_end(self, *_: Any) -> None:
        """Read the energy now and then."""
        self._read_energy()

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """Read the energy now and then."""
        self._read_energy()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember the metrics, and write."""
        if trainer.sanity_checking or (not trainer.training and trainer.state.fn != "fit"):
            return
        self._remember(trainer)
        self._write(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last time, and fill the HParams tab."""
        self._write(trainer, pl_module)
        logger = trainer.logger
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero and self.best:
            metrics = {k: v for k, v in self.best.items() if "/" in k}
            options = self.configuration or dict(pl_module.hparams)
            flat = {k: v for k, v in options.items() if isinstance(v, int | float | str | bool)}
            logger.log_hyperparams(flat, {f"hp/{k}": v for k, v in metrics.items()})
            logger.save()

    def _read_energy(self) -> None:
        now = time.monotonic()
        if now >= self._next_reading:
            self._energy.read()
            self._next_reading = now + _SECONDS_BETWEEN_READINGS

    def _remember(self, trainer: Trainer) -> None:
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.startswith("train/")
        }
        entry = {"step": trainer.global_step, "epoch": trainer.current_epoch, **metrics}
        if any(isinstance(c, Compression) for c in trainer.callbacks):  # type: ignore[attr-defined]
            entry["compressed"] = is_eligible(trainer)
        self.history.append(entry)

    def _write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder = trainer.log_dir  # every process must ask
        nonzero = _nonzero_share(trainer, pl_module)
        fast_dev_run: Any = getattr(trainer, "fast_dev_run", False)
        if folder is None or not trainer.is_global_zero or fast_dev_run:
            return
        target = Path(folder) / "metrics.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".json.unfinished")
        unfinished.write_text(
            json.dumps(self._summary(trainer, pl_module, nonzero), indent=2) + "\n"
        )
        unfinished.replace(target)

    def _summary(
        self, trainer: Trainer, pl_module: LightningModule, nonzero_share: float
    ) -> dict[str, Any]:
        log = next((c for c in trainer.callbacks if isinstance(c, TrainingLog)), TrainingLog())  # type: ignore[attr-defined]
        elapsed = max(log.seconds, 1e-9)
        task = getattr(pl_module, "task", None)
        return {
            "task": getattr(task, "name", None),
            "model": getattr(pl_module, "model_name_or_path", type(pl_module).__name__),
            "best": self.best,
            "last": self.history[-1] if self.history else {},
            "steps": trainer.global_step,
            "epochs": trainer.current_epoch,
            "seconds": round(self.seconds, 3),
            "joules": self.joules,
            "train_samples_per_second": round(log.samples / elapsed, 3),
            "train_tokens_per_second": round(log.tokens / elapsed, 1),
            "padding_share": round(log.padding_share, 4),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "parameters": sum(p.numel() for p in pl_module.parameters()),
            "nonzero_share": nonzero_share,
            "device": str(trainer.strategy.root_device),
            "devices": trainer.world_size,
            "precision": str(trainer.precision),
            "seed": _seed(),
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in PACKAGES},
            "history": self.history,
        }


def _nonzero_share(trainer: Trainer, module: LightningModule) -> float:
    """On all processes, of which each may hold a part of the parameters."""
    parameters = list(module.parameters())
    total = max(sum(p.numel() for p in parameters), 1)
    here = [p.to_local() if isinstance(p, DTensor) else p for p in parameters]
    nonzero = sum(int(p.count_nonzero()) for p in here)
    if any(isinstance(p, DTensor) for p in parameters):
        device = trainer.strategy.root_device
        nonzero = int(
            trainer.strategy.reduce(torch.tensor(nonzero, device=device), reduce_op="sum")
        )
    return round(nonzero / total, 6)


def _seed() -> int | None:
    import os

    seed = os.environ.get("PL_GLOBAL_SEED")
    return int(seed) if seed else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
