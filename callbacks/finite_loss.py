"""Stop at the first loss that is not a number."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_app.errors import NonFiniteLossError


class FiniteLoss(Callback):
    """Stops before a NaN or infinite loss reaches the weights, or at the latest a checkpoint.

    On a CPU each loss is looked at before the backward pass. On an accelerator looking would wait
    for the device, so the first bad step is noted there and read every ``every_n_steps`` and
    before each checkpoint.

    Args:
        every_n_steps: How often the note is read on an accelerator.
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        self.every_n_steps = every_n_steps
        self._first_bad_step: Tensor | None = None

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Look at the loss, or note on the device whether it is finite."""
        if loss.device.type == "cpu":
            if not torch.isfinite(loss):
                raise _error(trainer.global_step + 1)
            return
        if self._first_bad_step is None:
            self._first_bad_step = torch.zeros((), dtype=torch.long, device=loss.device)
        step = torch.tensor(trainer.global_step + 1, device=loss.device)
        unseen = (self._first_bad_step == 0) & ~torch.isfinite(loss.detach())
        self._first_bad_step = torch.where(unseen, step, self._first_bad_step)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Read the note now and then."""
        if trainer.global_step % self.every_n_steps == 0:
            self._read_note()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Never let spoiled weights replace a good checkpoint."""
        self._read_note()

    def _read_note(self) -> None:
        if self._first_bad_step is not None and (step := int(self._first_bad_step)):
            raise _error(step)


def _error(step: int) -> NonFiniteLossError:
    return NonFiniteLossError(
        f"Expected a finite loss, got NaN or infinity at step {step}; the last checkpoint is from"
        " before it. Lower `model.learning_rate`, or set `trainer.gradient_clip_val: 1.0`, and go"
        " on with `--ckpt_path last`."
    )
