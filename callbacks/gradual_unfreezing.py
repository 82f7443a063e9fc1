"""Train the head first, then one layer more at a time."""

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.nn import Parameter

from lightning_app.errors import InputError
from modules.reinitialization import encoder_layers
from modules.text_classifier import TextClassifier


class GradualUnfreezing(Callback):
    """Unfreezes the encoder from the top down (Howard & Ruder 2018, "Universal Language Model
    Fine-tuning", arXiv:1801.06146, section 3.3).

    Head and pooler train from the start. On one device frozen parameters take no part in the
    backward pass, which saves its time; on several they get no update, as DDP wants the same
    parameters throughout. What is frozen follows from the position in the run alone, so a resumed
    run goes on as it was.

    Args:
        epochs_per_layer: Epochs until the next layer below is unfrozen, fractions allowed.
        freeze_embeddings: Never train the embeddings.

    Example::

        --trainer.callbacks+=callbacks.GradualUnfreezing
    """

    def __init__(self, epochs_per_layer: float = 1.0, freeze_embeddings: bool = False) -> None:
        if epochs_per_layer <= 0:
            raise InputError(f"Expected `epochs_per_layer` to be above 0, got {epochs_per_layer}.")
        self.epochs_per_layer = epochs_per_layer
        self.freeze_embeddings = freeze_embeddings
        self._stages: list[list[Parameter]] = []
        self._frozen: list[Parameter] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """List the parameters of each layer, the top one first, the embeddings last."""
        assert isinstance(pl_module, TextClassifier)
        assert pl_module.network is not None
        layers = [list(layer.parameters()) for layer in encoder_layers(pl_module.network)]
        embeddings: Any = pl_module.network.base_model.embeddings
        self._stages = [*reversed(layers), list(embeddings.parameters())]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freeze what is not due yet."""
        epoch = trainer.current_epoch + batch_idx / float(trainer.num_training_batches)
        self._freeze_after(self.unfrozen_stages(epoch), trainer.world_size > 1)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Any
    ) -> None:
        """Without a gradient AdamW leaves a parameter, its decay and its averages alone."""
        for parameter in self._frozen:
            parameter.grad = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave nothing frozen behind."""
        self._freeze_after(len(self._stages), distributed=False)

    def unfrozen_stages(self, epoch: float) -> int:
        """Layers, from the top, that train at a (fractional) epoch; embeddings count as one."""
        # 1e-9: after 3 of 3 batches an epoch is over, whatever 1/3 rounds to.
        due = math.floor(epoch / self.epochs_per_layer + 1e-9)
        return min(due, len(self._stages) - self.freeze_embeddings)

    def _freeze_after(self, unfrozen: int, distributed: bool) -> None:
        self._frozen = [p for stage in self._stages[unfrozen:] for p in stage]
        if distributed:
            return
        for number, stage in enumerate(self._stages):
            for parameter in stage:
                parameter.requires_grad_(number < unfrozen)
