"""`last.ckpt` to go on from and `best.ckpt` to use."""

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info

from callbacks.compression import is_eligible
from lightning_app.sharded_checkpoint import replace_folder


class RunCheckpoint(ModelCheckpoint):
    """Saves only where a resumed run is bit for bit the same as an undisturbed one.

    ``last.ckpt`` is written at the end of each epoch and, within it, after an optimizer step that
    neither ends the epoch nor is followed by a validation; ``best.ckpt`` after the validation
    with the best score so far, among those after which no callback has anything left to compress
    (`callbacks.Compression`). At the end of an epoch both are one file under two names.

    Args:
        monitor: Logged metric that decides what is best.
        mode: ``max`` or ``min``.
        every_n_steps: Write ``last.ckpt`` at least every so many optimizer steps.
        every_n_minutes: Write ``last.ckpt`` at least every so many minutes; 0 to not.

    Attributes:
        saved_step: Optimizer steps in the ``last.ckpt`` of this process; -1 if there is none yet.
    """

    def __init__(
        self,
        monitor: str = "val/score",
        mode: str = "max",
        every_n_steps: int | None = None,
        every_n_minutes: float = 10.0,
    ) -> None:
        super().__init__(
            monitor=monitor,
            mode=mode,
            filename="best",
            save_last=True,
            save_top_k=1,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        self.every_n_steps = every_n_steps
        self.interval = timedelta(minutes=every_n_minutes)
        self.saved_step = -1
        self._save_soon = False
        self._validated_at = -1
        self._last_step = 0
        self._last_time = 0.0
        self._just_saved: Path | None = None
        self._is_first_process = True
        self._is_fitting = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the folder."""
        super().setup(trainer, pl_module, stage)
        self._is_first_process = trainer.is_global_zero
        self._is_fitting = stage == "fit"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and let validations fall between optimizer steps."""
        super().on_train_start(trainer, pl_module)
        self._last_step, self._last_time = trainer.global_step, time.monotonic()
        self.saved_step, self._save_soon = -1, False
        _validate_between_steps(trainer)

    def save_soon(self) -> None:
        """Write ``last.ckpt`` at the next good place; to be called on all processes."""
        self._save_soon = True

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write ``last.ckpt`` within the epoch, if it is time and a good place."""
        if self._is_good_place(trainer, batch_idx) and self._is_time(trainer):
            self._save_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``best.ckpt`` after a validation within the epoch."""
        if self._must_not_save(trainer):
            return
        self._validated_at = trainer.global_step
        if not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
        self._just_saved = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``last.ckpt``, and ``best.ckpt`` if the epoch's validation was the best."""
        if self._must_not_save(trainer):
            return
        if self._validated_at == trainer.global_step:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
        self._save_last(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run cut short by `max_steps` or early stopping ends with a ``last.ckpt``, too."""
        if not self._must_not_save(trainer) and self._last_step != trainer.global_step:
            self._save_last(trainer)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """In another folder, begin with a copy of the best so far."""
        best = Path(state_dict["best_model_path"])
        if not self._is_fitting:
            return
        if state_dict["dirpath"] == self.dirpath:
            super().load_state_dict(state_dict)
        elif state_dict["best_model_path"] and best.exists() and self.dirpath is not None:
            here = Path(self.dirpath) / best.name
            if self._is_first_process:
                here.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(best, here)
            score = state_dict["best_model_score"]
            self.best_model_path = self.kth_best_model_path = str(here)
            self.best_model_score = self.kth_value = score
            self.best_k_models = {str(here): score}

    def _is_good_place(self, trainer: Trainer, batch_idx: int) -> bool:
        if self._must_not_save(trainer) or trainer.fit_loop._should_accumulate():
            return False
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return False
        # Lightning takes a checkpoint written right before a validation for one after it.
        every = trainer.val_check_batch
        if trainer.check_val_every_n_epoch is None:  # validations are counted across epochs
            batch_idx = trainer.fit_loop.epoch_loop.total_batch_idx
        return not (isinstance(every, int) and (batch_idx + 1) % every == 0)

    def _is_time(self, trainer: Trainer) -> bool:
        steps = trainer.global_step - self._last_step
        if self._save_soon:
            return True
        if self.every_n_steps is not None and steps >= self.every_n_steps:
            return True
        if not self.interval or trainer.global_step % 10:
            return False
        due = time.monotonic() - self._last_time >= self.interval.total_seconds()
        # The clocks of the processes differ, and all must save together.
        return trainer.strategy.reduce_boolean_decision(due, all=False)

    def _must_not_save(self, trainer: Trainer) -> bool:
        fitting = trainer.state.fn is not None and trainer.state.fn.value == "fit"
        fast_dev_run: Any = getattr(trainer, "fast_dev_run", False)
        return bool(fast_dev_run) or not fitting or trainer.sanity_checking

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Any]) -> None:
        if is_eligible(trainer):
            super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _save_last(self, trainer: Trainer) -> None:
        self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        self._last_step, self._last_time = trainer.global_step, time.monotonic()
        self.saved_step, self._save_soon = trainer.global_step, False
        self._just_saved = None

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        flush_loggers(trainer)  # what was logged before the checkpoint must survive with it
        if self._just_saved is None:
            super()._save_checkpoint(trainer, filepath)
            self._just_saved = Path(filepath)
            return
        if trainer.is_global_zero:
            _link_or_copy(self._just_saved, Path(filepath))
        trainer.strategy.barrier()


def flush_loggers(trainer: Trainer) -> None:
    """Write to disk what was logged so far."""
    for logger in trainer.loggers:
        flush = getattr(getattr(logger, "experiment", None), "flush", None)
        if trainer.is_global_zero and callable(flush):
            flush()


def _validate_between_steps(trainer: Trainer) -> None:
    """Round the batches between validations down to whole optimizer steps.

    No checkpoint keeps the gradients of a step that is only half accumulated.
    """
    every, batches = trainer.val_check_batch, trainer.accumulate_grad_batches
    if not isinstance(every, int) or trainer.check_val_every_n_epoch is None:
        return
    if every >= trainer.num_training_batches or every % batches == 0:
        return
    whole = min(max(every // batches, 1) * batches, trainer.num_training_batches)
    rank_zero_info(
        f"Validating every {whole} batches in place of {every}: between optimizer steps, so that"
        " a checkpoint can be resumed."
    )
    trainer.val_check_batch = whole


def _link_or_copy(source: Path, target: Path) -> None:
    unfinished = target.with_name(target.name + ".unfinished")
    if source.is_dir():  # the parts of several processes
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(source, unfinished, copy_function=_link_or_copy_file)
        replace_folder(unfinished, target)
        return
    unfinished.unlink(missing_ok=True)
    _link_or_copy_file(source, unfinished)
    if target.is_dir():
        shutil.rmtree(target)
    unfinished.replace(target)


def _link_or_copy_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
