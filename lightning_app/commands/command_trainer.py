"""The Trainer, with methods for the commands of Glint that need a model, data and a device."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer

from callbacks import RunCheckpoint, RunSummary, ValidationPictures
from datamodules import TextDataModule
from lightning_app.commands.plan import FewSteps, Plan
from lightning_app.commands.quantization_result import QuantizationResult
from lightning_app.commands.quantize import Quantize
from lightning_app.commands.sensitivity import Sensitivity
from lightning_app.commands.sensitivity_result import SensitivityResult
from lightning_app.commands.shrink import Shrink, ShrinkResult
from lightning_app.commands.timeline import Timeline
from lightning_app.errors import InputError
from lightning_app.matmul import onednn_matmul
from modules.text_classifier import TextClassifier

NOT_PLANNED = (RunCheckpoint, RunSummary, ValidationPictures)
"""Callbacks that write, and do nothing to the course of a fit."""


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
        classifier, data = self._checked(model, datamodule, "sensitivity")
        self._open(classifier, data, ckpt_path)
        with self._products():
            return options.measure(
                classifier,
                data,
                precision=self.precision_plugin.forward_context,
                show_progress=self.progress_bar_callback is not None,
            )

    def quantize_model(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        options: Quantize,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> QuantizationResult:
        """Round weights and activations to integers, without training; the model follows.

        Args:
            model: A `TextClassifier`.
            datamodule: Of its task.
            options: How.
            ckpt_path: Checkpoint of `glint fit`.
            weights_only: Checkpoints of Glint always hold plain values only.
        """
        classifier, data = self._checked(model, datamodule, "quantize")
        self._open(classifier, data, ckpt_path)
        with self._products():
            return options.quantize(
                classifier,
                data,
                precision=self.precision_plugin.forward_context,
                show_progress=self.progress_bar_callback is not None,
            )

    def shrink_model(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        options: Shrink,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> ShrinkResult:
        """Take layers, heads and neurons out to meet a target; the model follows.

        Args:
            model: A `TextClassifier`.
            datamodule: Of its task.
            options: The target.
            ckpt_path: Checkpoint of `glint fit`.
            weights_only: Checkpoints of Glint always hold plain values only.
        """
        classifier, data = self._checked(model, datamodule, "shrink")
        self._open(classifier, data, ckpt_path)
        with self._products():
            return options.shrink(
                classifier, data, show_progress=self.progress_bar_callback is not None
            )

    def plan_fit(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        options: Plan,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> Timeline:
        """Run a few steps of the fit and say what all of it would be.

        Args:
            model: A `TextClassifier`.
            datamodule: Of its task.
            options: How many steps.
            ckpt_path: To go on from.
            weights_only: Checkpoints of Glint always hold plain values only.
        """
        classifier, _ = self._checked(model, datamodule, "plan")
        steps = FewSteps(options.num_steps)
        present: list[Callback] = list(vars(self)["callbacks"])
        self.callbacks = [*(c for c in present if not isinstance(c, NOT_PLANNED)), steps]
        self.limit_val_batches = 0
        self.fit(model, datamodule=datamodule, ckpt_path=ckpt_path)
        if options.checkpoint is not None:
            self.save_checkpoint(options.checkpoint)
        return steps.timeline(self, classifier)

    # The subcommands. jsonargparse calls the group of a method's options as the method, and that of
    # `--sensitivity.*` would have the same name.
    sensitivity = measure_sensitivity
    quantize = quantize_model
    shrink = shrink_model
    plan = plan_fit

    def _checked(
        self, model: LightningModule, datamodule: LightningDataModule, command: str
    ) -> tuple[TextClassifier, TextDataModule]:
        if not isinstance(model, TextClassifier) or not isinstance(datamodule, TextDataModule):
            raise InputError(
                "Expected a `TextClassifier` and a Glint data module, got"
                f" {type(model).__name__} and {type(datamodule).__name__}."
            )
        if self.world_size > 1:
            raise InputError(
                f"Expected one device for `glint {command}`, got {self.world_size}; set"
                " `--trainer.devices=1`."
            )
        return model, datamodule

    def _products(self) -> AbstractContextManager[Any]:
        on_cpu = self.strategy.root_device.type == "cpu"
        return onednn_matmul() if on_cpu else nullcontext()

    def _open(self, model: LightningModule, datamodule: Any, ckpt_path: str | None) -> None:
        """Build the network, load the checkpoint, check that it suits the data, and move it."""
        self.limit_val_batches = 0  # a validation of nothing does just that
        self.validate(model, datamodule=datamodule, ckpt_path=ckpt_path, verbose=False)
        model.to(self.strategy.root_device)
