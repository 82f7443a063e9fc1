"""A callback of one's own: logs the norm of the gradient and keeps its running mean.

    glint fit --config configs/demo.yaml --trainer.callbacks+=my_callback.GradientNorm

run in the folder of this file; see docs/callbacks.md.
"""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class GradientNorm(Callback):
    """Writes ``gradient/norm`` to TensorBoard.

    Args:
        every_n_steps: How often.
    """

    def __init__(self, every_n_steps: int = 20) -> None:
        self.every_n_steps = every_n_steps
        self.steps = 0
        self.mean = 0.0

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Any
    ) -> None:
        """Measure between the backward pass and the optimizer's step."""
        gradients = [p.grad.norm() for p in pl_module.parameters() if p.grad is not None]
        norm = float(torch.stack(gradients).norm())
        self.steps += 1
        self.mean += (norm - self.mean) / self.steps
        if self.steps % self.every_n_steps == 0 and trainer.logger is not None:
            trainer.logger.log_metrics({"gradient/norm": norm}, step=trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run goes on counting; plain values only."""
        return {"steps": self.steps, "mean": self.mean}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self.steps, self.mean = state_dict["steps"], state_dict["mean"]
