"""What several devices make of batch and learning rate, in words."""

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from lightning_app.functional.learning_rate import rate_scale
from modules.text_classifier import TextClassifier


class DevicesReport(Callback):
    """Says at the start of a fit on more than one device how large a step's batch is, and the
    learning rate.

    The batch size is of each device, so the global batch grows with their number, and the rate for
    it may be another: `model.scale_learning_rate` raises it, and nothing does so unasked.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say so, after a checkpoint's rates have been restored."""
        if trainer.world_size > 1 and isinstance(pl_module, TextClassifier):
            rank_zero_info(devices_sentence(trainer, pl_module))


def devices_sentence(trainer: Trainer, model: TextClassifier) -> str:
    """Rows of a step and learning rate, with what `scale_learning_rate` does or would do."""
    devices, accumulated = trainer.world_size, trainer.accumulate_grad_batches
    rows: int = trainer.datamodule.train_batch_size  # type: ignore[attr-defined]
    product = f"{rows} rows x {devices} devices"
    if accumulated > 1:
        product += f" x {accumulated} batches"
    used = max(g.get("initial_lr", g["lr"]) for g in trainer.optimizers[0].param_groups)
    return (
        f"A step is of {product} = {rows * devices * accumulated} rows; learning rate {used:g}"
        f"{_scaling(model, devices)}."
    )


def _scaling(model: TextClassifier, devices: int) -> str:
    rule, rate = model.scale_learning_rate, model.learning_rate
    if rule is not None:
        return f" ({rule} in the number of devices, from {rate:g})"
    linear, root = (rate * rate_scale(r, devices) for r in ("linear", "sqrt"))
    return (
        f" as on one device (`--model.scale_learning_rate linear` makes it {linear:g},"
        f" `sqrt` {root:g})"
    )
