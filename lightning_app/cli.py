"""`fit`, `validate`, `test`, `predict` and the commands on trained models: LightningCLI with
Glint's module, data and callbacks."""

import json
import os
import sys
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info

from callbacks import (
    CompressionMonitor,
    CPUKernels,
    DevicesReport,
    FiniteLoss,
    PredictionWriter,
    Preemption,
    RandomState,
    RunCheckpoint,
    RunSummary,
    TrainingLog,
    ValidationPictures,
)
from datamodules import GLUEDataModule, TextDataModule
from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.commands.answer_text import answer_text
from lightning_app.commands.command_trainer import CommandTrainer
from lightning_app.commands.derived_checkpoint import check_target, write_checkpoint
from lightning_app.commands.fit_seeds import OF_SEEDS
from lightning_app.commands.plan import Plan
from lightning_app.commands.quantization_files import write_quantization_files
from lightning_app.commands.quantization_text import export_command, quantization_summary
from lightning_app.commands.quantize import Quantize
from lightning_app.commands.quantized_checkpoint import FILE as QUANTIZED
from lightning_app.commands.sensitivity import Sensitivity
from lightning_app.commands.sensitivity_files import prepare_folder, write_files
from lightning_app.commands.sensitivity_text import next_commands, summary
from lightning_app.commands.shrink import FILE as SHRUNK
from lightning_app.commands.shrink import Shrink
from lightning_app.commands.shrink_text import next_command, shrink_summary
from lightning_app.commands.timeline_text import timeline_picture, timeline_text
from lightning_app.commands.whole_file import write_whole
from lightning_app.errors import InputError
from lightning_app.precision import MIXED, choose_precision
from lightning_app.run_folder import (
    DEFAULT_ROOT,
    RunFolder,
    find_checkpoint,
    folder_of_checkpoint,
)
from lightning_app.stop_signal import told_to_all
from lightning_app.xla_checkpoint_io import checkpoint_io
from modules import TextClassifier

RUN_VERSION = "GLINT_RUN_VERSION"
"""Environment variable by which the first process tells the others the number of the run."""

ON_ONE_DEVICE = ("sensitivity", "quantize", "shrink", "plan")
"""Commands that are methods of `CommandTrainer`, whatever the run was trained on."""

TRAINER_DEFAULTS = {
    "max_epochs": 3,
    "log_every_n_steps": 20,
    "use_distributed_sampler": False,  # our samplers know rank and world size
}


class GlintCLI(LightningCLI):
    """The command line of a LightningModule and a LightningDataModule, for one command.

    Args:
        command: ``fit``, ``validate``, ``test``, ``predict``, ``sensitivity``, ``quantize`` or
            ``shrink``; only
            its parser is built, which makes `--help` four times as fast.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.checkpoint: Path | None = None
        self.run_folder: RunFolder | None = None
        self._claim_run_folder: Callable[[], RunFolder | None] = lambda: None
        super().__init__(
            TextClassifier,
            TextDataModule,
            subclass_mode_data=True,
            save_config_callback=SaveConfigCallback if command == "fit" else None,
            save_config_kwargs={"overwrite": True},
            trainer_class=CommandTrainer,
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=42,
            auto_configure_optimizers=False,
            # Our checkpoints open by themselves, without Lightning's entries in their options.
            load_from_checkpoint_support=False,
            parser_kwargs={"prog": "glint", "exit_on_error": False},
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The one command that was asked for."""
        own = {command: {"model", "datamodule", "options"} for command in ON_ONE_DEVICE}
        return {self.command: {**LightningCLI.subcommands(), **own}[self.command]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Options beside trainer, model and data."""
        parser.add_argument(
            "--name",
            type=str | None,
            default=None,
            help="Name of the run, and of its folder; by default the task's.",
        )
        parser.set_defaults({"data": {"class_path": "datamodules.GLUEDataModule"}})
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(ValidationPictures, "pictures")
        parser.add_lightning_class_args(PredictionWriter, "predictions")
        if self.command == "predict":
            parser.add_argument("--text", type=str | None, default=None, help="A text to classify.")
            parser.add_argument(
                "--text_pair", type=str | None, default=None, help="The second text of a pair."
            )
            parser.add_argument(
                "--artifact",
                type=str | None,
                default=None,
                help="Answer `--text` with a folder of `glint export`, without all the rest.",
            )
        if self.command == "fit":
            for option, (kind, text) in OF_SEEDS.items():
                parser.add_argument(option, type=kind | None, default=None, help=text)
        if self.command == "sensitivity":
            parser.add_class_arguments(Sensitivity, "sensitivity")
        if self.command == "quantize":
            parser.add_class_arguments(Quantize, "quantize")
        if self.command == "plan":
            parser.add_class_arguments(Plan, "plan")
        if self.command == "shrink":
            parser.add_class_arguments(Shrink, "shrink")

    def _parse_ckpt_path(self) -> None:
        """Options are the YAML's and the command line's, never the checkpoint's."""

    def before_instantiate_classes(self) -> None:
        """Find the checkpoint and the run's folder."""
        config = self.config[self.command]
        if config.get("artifact") is not None:  # on the command line it would not have come here
            raise InputError(
                f"Expected `--artifact` on the command line, got {config.artifact!r} in a"
                " configuration file."
            )
        for option in OF_SEEDS:  # likewise; what is saved goes to commands that do not know them
            if (given := config.pop(option.removeprefix("--"), None)) is not None:
                raise InputError(
                    f"Expected `{option}` on the command line, got {given!r} in a configuration"
                    " file."
                )
        root = Path(config.trainer.default_root_dir or DEFAULT_ROOT)
        name = config.name or default_name(config.data)
        wanted = config.get("ckpt_path")
        self.checkpoint = find_checkpoint(wanted, root, name)
        config["ckpt_path"] = None if self.checkpoint is None else str(self.checkpoint)
        if wanted is not None and self.checkpoint is None:
            self._no_checkpoint_yet(root / name)
        if self.command in ("fit", "plan"):
            self._choose_precision(config.trainer)
        if self.command == "fit" and not config.trainer.fast_dev_run:
            self._claim_run_folder = partial(self._run_folder, root, name, wanted)
        if self.command in ON_ONE_DEVICE:
            _set_one_device(config.trainer)

    def _choose_precision(self, trainer: Any) -> None:
        if trainer.precision is not None or trainer.plugins:  # a plugin may be of precision
            return
        run = None if self.checkpoint is None else folder_of_checkpoint(self.checkpoint)
        trainer.precision = choose_precision(trainer.accelerator, run)
        if trainer.precision == MIXED:
            rank_zero_info(
                "bf16-mixed: this CPU multiplies bfloat16. `--trainer.precision 32-true` trains in"
                " float32."
            )

    @cached_property
    def checkpoint_contents(self) -> dict[str, Any]:
        """What the chosen checkpoint holds."""
        assert self.checkpoint is not None
        return read_glint_checkpoint(self.checkpoint)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add Glint's logger, checkpoints and callbacks; give the model the checkpoint's shape."""
        config = self.config[self.command]
        self.run_folder = self._claim_run_folder()
        kwargs = {**kwargs, "logger": self._logger(config.trainer.logger)}
        kwargs["plugins"] = [*_as_list(self._get(self.config_init, "trainer").get("plugins"))]
        kwargs["plugins"].append(checkpoint_io(config.trainer.accelerator))
        # What is saved must not resume by itself when it is used again.
        config["ckpt_path"] = None
        if self.checkpoint is not None:
            self.model.adopt(self.checkpoint_contents)
            del self.checkpoint_contents  # free its memory
        return super().instantiate_trainer(**kwargs)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        ours = [
            CPUKernels(),
            DevicesReport(),
            FiniteLoss(),
            TrainingLog(),
            CompressionMonitor(),
            Preemption(command=self._command_to_go_on()),
            RunSummary(configuration=hparams(self.config[self.command].as_dict())),
            RandomState(),
        ]
        return super()._instantiate_trainer(config, [*callbacks, *ours])

    def fit(self, **kwargs: Any) -> None:
        """Train; a run that fails before its first step leaves no folder."""
        try:
            with told_to_all(self.trainer):
                self.trainer.fit(**kwargs)
        except BaseException:
            if self.run_folder is not None and self.trainer.global_step == 0:
                self.run_folder.remove_unstarted()
            raise

    def validate(self, **kwargs: Any) -> None:
        """Score the checkpoint, or the model as it comes, on the validation set."""
        if self.checkpoint is None:
            rank_zero_info("No `--ckpt_path`: the pretrained model is scored with a new head.")
        self.trainer.validate(**kwargs)

    def predict(self, **kwargs: Any) -> None:
        """Answer `--text`, or write the prediction files."""
        if self.checkpoint is None:
            raise InputError(
                "Expected `--ckpt_path` for predictions, got None: a checkpoint of `glint fit`,"
                " `last` or `best`."
            )
        text, pair = (self._get(self.config, key) for key in ("text", "text_pair"))
        if text is not None:
            self._answer(text, pair)
            return
        self.trainer.predict(**{**kwargs, "return_predictions": False})

    def sensitivity(self, **kwargs: Any) -> None:
        """Measure the checkpoint; write and say what came out, and what to do next."""
        if self.checkpoint is None:
            raise InputError(
                "Expected `--ckpt_path` for a sensitivity analysis, got None: a checkpoint of"
                " `glint fit`, `last` or `best`."
            )
        options: Sensitivity = self._get(self.config_init, "sensitivity")
        folder = Path(options.output or folder_of_checkpoint(self.checkpoint))
        prepare_folder(folder)
        result = self.trainer.sensitivity(**kwargs, options=options)  # type: ignore[attr-defined]
        files = write_files(result, folder, str(self.checkpoint))
        sys.stdout.write(f"\n{summary(result)}\nwritten: {', '.join(map(str, files.values()))}\n")
        configs = [str(path) for path in self._get(self.config, "config") or ()]
        for command in next_commands(result, configs, str(self.checkpoint), files["plan.yaml"]):
            sys.stdout.write(f"next: {command}\n")

    def quantize(self, **kwargs: Any) -> None:
        """Quantize the checkpoint; write another one, and say what came out and what is next."""
        checkpoint = self._needed_checkpoint("quantize")
        options: Quantize = self._get(self.config_init, "quantize")
        target = Path(options.output or checkpoint.with_name(QUANTIZED))
        check_target(target, checkpoint, options.overwrite, "quantize")
        result = self.trainer.quantize(**kwargs, options=options)  # type: ignore[attr-defined]
        assert self.model.architecture is not None
        write_checkpoint(checkpoint, self.model.architecture, target)
        files = write_quantization_files(result, target, str(checkpoint))
        written = ", ".join(map(str, (target, *files)))
        sys.stdout.write(
            f"\n{quantization_summary(result)}\nwritten: {written}\n"
            f"next: {export_command(target)}\n"
        )

    def plan(self, **kwargs: Any) -> None:
        """Say what the fit would do, and how long it would take."""
        options: Plan = self._get(self.config_init, "plan")
        timeline = self.trainer.plan(**kwargs, options=options)  # type: ignore[attr-defined]
        if options.output is not None:
            plain = (json.dumps(timeline.as_plain()) + "\n").encode()
            write_whole(options.output, plain)
            name = str(self._get(self.config, "name") or options.output.stem)
            write_whole(options.output.with_suffix(".png"), timeline_picture(timeline, name))
        sys.stdout.write(f"\n{timeline_text(timeline)}\n")
        timeline.check()

    def shrink(self, **kwargs: Any) -> None:
        """Shrink the checkpoint; write another one, and say what came out and what is next."""
        checkpoint = self._needed_checkpoint("shrink")
        options: Shrink = self._get(self.config_init, "shrink")
        target = Path(options.output or checkpoint.with_name(SHRUNK))
        check_target(target, checkpoint, options.overwrite, "shrink")
        result = self.trainer.shrink(**kwargs, options=options)  # type: ignore[attr-defined]
        assert self.model.architecture is not None
        write_checkpoint(checkpoint, self.model.architecture, target, self.model.state_dict())
        table = target.with_suffix(".json")
        plain = {"checkpoint": str(checkpoint), **result.as_plain()}
        write_whole(table, (json.dumps(plain, indent=1) + "\n").encode())
        config = (self._get(self.config, "config") or ["CONFIG"])[0]
        following = next_command(result, options.runtime, str(config), target, checkpoint)
        sys.stdout.write(
            f"\n{shrink_summary(result)}\nwritten: {target}, {table}\nnext: {following}\n"
        )

    def _needed_checkpoint(self, command: str) -> Path:
        if self.checkpoint is None:
            raise InputError(
                f"Expected `--ckpt_path` to {command}, got None: a checkpoint of `glint fit`,"
                " `last` or `best`."
            )
        return self.checkpoint

    def after_fit(self) -> None:
        """Say what came out and what to do next."""
        if self.run_folder is None or not self.trainer.is_global_zero:
            return
        folder = self.run_folder.path
        summary = next(c for c in self.trainer.callbacks if isinstance(c, RunSummary))  # type: ignore[attr-defined]
        score = summary.best.get(summary.monitor)
        best = f"best {summary.monitor} {score:.4f}" if score is not None else "not validated"
        checkpoint = folder / "checkpoints/best.ckpt"
        if not checkpoint.is_file():
            checkpoint = checkpoint.with_name("last.ckpt")
        sys.stdout.write(
            f"\n{best} after {self.trainer.global_step} steps, {summary.seconds:.0f} s: {folder}\n"
            f"next: glint predict --config {folder}/config.yaml"
            f" --ckpt_path {checkpoint}\n"
            f"      tensorboard --logdir {self.run_folder.root}\n"
        )

    def _command_to_go_on(self) -> str | None:
        if self.run_folder is None:
            return None
        return f"glint fit --config {self.run_folder.path}/config.yaml --ckpt_path last"

    def _answer(self, text: str, pair: str | None) -> None:
        model = TextClassifier.load_from_checkpoint(self.checkpoint)
        answer = model.classify([text], None if pair is None else [pair])[0]
        sys.stdout.write(answer_text(answer))

    def _no_checkpoint_yet(self, folder: Path) -> None:
        if self.command != "fit":
            raise InputError(f"Expected a whole checkpoint under {folder}, but there is none yet.")
        rank_zero_info(f"No whole checkpoint under {folder} yet: starting from the beginning.")

    def _run_folder(self, root: Path, name: str, wanted: str | None) -> RunFolder:
        if self.checkpoint is not None and wanted == "last":
            return RunFolder.of_checkpoint(self.checkpoint)
        if _rank() != 0:  # under torchrun nothing is told, and the Trainer asks the first process
            return RunFolder(root, name, int(os.environ.get(RUN_VERSION, 0)))
        run = RunFolder.create(root, name)
        os.environ[RUN_VERSION] = str(run.version)
        return run

    def _logger(self, configured: Any) -> Any:
        if configured not in (None, True) or self.run_folder is None:
            return self._get(self.config_init, "trainer")["logger"] if self.run_folder else False
        # Of a run that goes on, events after its checkpoint are written anew.
        resumed = self.checkpoint is not None and self.run_folder.path in self.checkpoint.parents
        step = self.checkpoint_contents["global_step"] if resumed else None
        return TensorBoardLogger(
            self.run_folder.root,
            self.run_folder.name,
            self.run_folder.version,
            default_hp_metric=False,
            purge_step=step,
        )


def _set_one_device(trainer: Any) -> None:
    """For a command that one device runs, whatever the run was trained on."""
    trainer.devices = trainer.devices[:1] if isinstance(trainer.devices, list) else 1
    trainer.num_nodes, trainer.strategy = 1, "auto"


def _rank() -> int:
    return _get_rank() or 0


def default_name(data: Any) -> str:
    """Of a run that is not named: the task's, or the file's."""
    options = data.get("init_args", {})
    if data["class_path"].rpartition(".")[2] == GLUEDataModule.__name__:
        return str(options.get("task_name", "mrpc"))
    file = options.get("train_file")
    return Path(file).stem if file else "text"


def _as_list(plugins: Any) -> list[Any]:
    if plugins is None:
        return []
    return list(plugins) if isinstance(plugins, list | tuple) else [plugins]


def hparams(config: dict[str, Any]) -> dict[str, Any]:
    """What TensorBoard's HParams tab shows: the options that make one run differ from another."""
    flat = _flat({part: config[part] for part in ("model", "data", "trainer", "seed_everything")})
    for callback in config["trainer"].get("callbacks") or []:
        name = callback["class_path"].rpartition(".")[2]
        flat |= _flat({name: dict(callback.get("init_args") or {})})
    return {key: value for key, value in flat.items() if not key.endswith("class_path")}


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            inner = prefix if key == "init_args" else f"{prefix}{key}."
            flat.update(_flat(value, inner))
        elif isinstance(value, int | float | str):
            flat[f"{prefix}{key}"] = value
    return flat
