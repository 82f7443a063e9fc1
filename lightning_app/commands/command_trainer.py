"""The Trainer, with methods for the commands of Glint that need a model, data and a device."""

from contextlib import nullcontext
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from datamodules import TextDataModule
from lightning_app.commands.sensitivity import Sensitivity
from lightning_app.commands.sensitivity_result import SensitivityResult
from lightning_app.errors import InputError
from lightning_app.matmul import onednn_matmul
from modules.text_classifier import TextClassifier


class CommandTrainer(Trainer):
    """Lightning's Trainer; `LightningCLI` takes its subcommands from the methods.

    Args:
        **options: Those of the Trainer.
    """

    def measure_sensitivity(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        options: Sensitivity,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> SensitivityResult:
        """Measure what pruning each layer alone costs on the validation set, without training.

        Args:
            model: A `TextClassifier`.
            datamodule: Of its task.
            options: What is measured.
            ckpt_path: Checkpoint of `glint fit`.
            weights_only: Checkpoints of Glint always hold plain values only.
        """
        if not isinstance(model, TextClassifier) or not isinstance(datamodule, TextDataModule):
            raise InputError(
                "Expected a `TextClassifier` and a Glint data module, got"
                f" {type(model).__name__} and {type(datamodule).__name__}."
            )
        if self.world_size > 1:
            raise InputError(
                f"Expected one device for `glint sensitivity`, got {self.world_size}; set"
                " `--trainer.devices=1`."
            )
        self._open(model, datamodule, ckpt_path)
        model.to(self.strategy.root_device)
        on_cpu = self.strategy.root_device.type == "cpu"
        with onednn_matmul() if on_cpu else nullcontext():
            return options.measure(
                model,
                datamodule,
                precision=self.precision_plugin.forward_context,
                show_progress=self.progress_bar_callback is not None,
            )

    # The subcommand. jsonargparse calls the group of a method's options as the method, and that of
    # `--sensitivity.*` would have the same name.
    sensitivity = measure_sensitivity

    def _open(self, model: LightningModule, datamodule: Any, ckpt_path: str | None) -> None:
        """Build the network, load the checkpoint and check that it suits the data."""
        self.limit_val_batches = 0  # a validation of nothing does just that
        self.validate(model, datamodule=datamodule, ckpt_path=ckpt_path, verbose=False)
