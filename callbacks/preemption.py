"""SIGTERM, with which schedulers and spot machines take a machine away."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks.run_checkpoint import RunCheckpoint, flush_loggers
from lightning_app.stop_signal import STOPPED


class Preemption(Callback):
    """Stops a fit that gets SIGTERM, with a ``last.ckpt`` from which it goes on bit for bit.

    The signal is only noted. At the end of each step the processes agree whether any of them was
    told; :class:`RunCheckpoint` then saves at the first place from which a resumed run is the
    undisturbed one, and all of them stop with status 143. That place is the end of the step, or
    what its end leads to: the accumulated step, the validation, the epoch. A run that is finished
    by then ends as ever.

    Lightning's own handler stops without saving, each process at its own next step, and talks to
    the others from within the handler, in the middle of whatever they are exchanging. Under SLURM
    it saves for SIGUSR1, in the middle of a step; here that signal does what SIGTERM does.

    Args:
        command: What goes on with the run; part of what is said at the end.
    """

    def __init__(self, command: str | None = None) -> None:
        self.command = command
        self._was_told = False
        self._is_stopping = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin anew."""
        self._was_told = self._is_stopping = False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen; Lightning has registered its own handlers just before, and removes all."""
        self._listen()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen, where there was no sanity check."""
        self._listen()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Agree, and ask for a checkpoint, which comes last in this very hook."""
        # XLA would have to wait for the device: there every tenth step is enough.
        if trainer.strategy.root_device.type == "xla" and trainer.global_step % 10:
            return
        if self._is_stopping:
            return
        if not trainer.strategy.reduce_boolean_decision(self._was_told, all=False):
            return
        self._is_stopping = True
        for checkpoint in _run_checkpoints(trainer):
            checkpoint.save_soon()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop, once the step is saved and logged.

        Raises:
            SIGTERMException: With the exit status.
        """
        if not self._is_stopping:
            return
        checkpoints = _run_checkpoints(trainer)
        if any(checkpoint.saved_step != trainer.global_step for checkpoint in checkpoints):
            return
        flush_loggers(trainer)
        if trainer.is_global_zero:
            sys.stderr.write(f"\n{self._sentence(trainer, checkpoints)}\n")
        # A launcher may kill the others as soon as one has stopped.
        trainer.strategy.barrier()
        raise SIGTERMException(_status(trainer))

    def _listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, *((signal.SIGUSR1,) if SLURMEnvironment.detect() else ())):
            signal.signal(number, self._take_note)

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        self._was_told = True

    def _sentence(self, trainer: Trainer, checkpoints: list[RunCheckpoint]) -> str:
        stopped = f"glint: stopped by SIGTERM after step {trainer.global_step}"
        if not checkpoints:
            return f"{stopped}; there is no RunCheckpoint, and nothing was saved."
        said = f"{stopped}; saved {checkpoints[0].last_model_path}"
        if _is_external(trainer):
            return f"{said}; go on: the same command with --ckpt_path last"
        return said if self.command is None else f"{said}; go on: {self.command}"


def _run_checkpoints(trainer: Trainer) -> list[RunCheckpoint]:
    return [c for c in trainer.checkpoint_callbacks if isinstance(c, RunCheckpoint)]


def _is_external(trainer: Trainer) -> bool:
    """Whether torchrun, SLURM or the like has started the processes."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return environment is not None and not isinstance(environment, LightningEnvironment)


def _status(trainer: Trainer) -> int:
    # Processes that Lightning has started may not fail, or it kills the one that speaks for all.
    return STOPPED if trainer.local_rank == 0 or _is_external(trainer) else 0
