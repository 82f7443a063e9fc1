"""The faster matrix products of a CPU, for the time of a run."""

from contextlib import ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from lightning_app.allocator import keep_large_blocks
from lightning_app.matmul import onednn_matmul


class CPUKernels(Callback):
    """Keeps freed memory, and sends float32 products to oneDNN where that is faster and exact.

    Does nothing off the CPU; the settings of the process are put back at the end of the run. See
    `lightning_app.matmul` and `lightning_app.allocator` for what it gains.
    """

    def __init__(self) -> None:
        self._settings = ExitStack()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose, on a CPU."""
        if trainer.strategy.root_device.type != "cpu":
            return
        keep_large_blocks()
        if self._settings.enter_context(onednn_matmul()):
            rank_zero_info("Matrix products go to oneDNN: faster than MKL on this CPU, as exact.")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the settings back."""
        self._settings.close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Put the settings back."""
        self._settings.close()
