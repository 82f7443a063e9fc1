"""A fit that stops for a while."""

from lightning.pytorch import Callback, LightningModule, Trainer


class PauseAfterEpoch(Callback):
    """Stops a fit after so many epochs, with a checkpoint from which it goes on bit for bit.

    Unlike a smaller `trainer.max_epochs` it leaves the learning rate's course as it is.

    Args:
        epochs: That are finished by then.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop, if it is time."""
        if trainer.current_epoch + 1 >= self.epochs:
            trainer.should_stop = True
