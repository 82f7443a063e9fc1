"""Let a large fine-tuned teacher teach a small student."""

from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.distillation_terms import (
    DistillationTerm,
    HiddenStates,
    NearestHiddenStates,
    Projection,
    SoftTargets,
    identity,
)
from callbacks.layer_pairing import LAYER_MAPS, LayerMap, LayerPairing
from callbacks.teacher_agreement import TeacherAgreement
from callbacks.teacher_outputs import CacheOptions, TeacherOutputs
from callbacks.weight_schedule import WeightSchedule
from lightning_app.errors import InputError
from lightning_app.functional.layer_map import even_layers
from lightning_app.functional.losses import weighted_mean
from modules.features import Features, network_options
from modules.teacher import SELF, Teacher, load_teacher
from modules.text_classifier import TextClassifier

TeacherPrecision = Literal["run", "float32", "bfloat16"]
TEACHER_PRECISIONS = ("run", "float32", "bfloat16")
TERMS = ("soft_targets", "hidden_states", "attentions", "relations", "embeddings")
TASK = "task"
PROJECTION = "distillation"
MATCHED_LAYERS = 4
"""Teacher layers of the adaptive map, as in CoFi."""


class Distillation(Callback):
    """Adds the teacher to the objective: a term for each weight that is above 0.

    ``soft_targets`` are the teacher's answers (Hinton et al. 2015, "Distilling the Knowledge in a
    Neural Network", arXiv:1503.02531); ``hidden_states``, ``attentions`` and ``embeddings`` are
    TinyBERT's (Jiao et al. 2020, arXiv:1909.10351, section 3.1); ``relations`` are MiniLMv2's
    (Wang et al. 2021, arXiv:2012.15828, section 3). The teacher is frozen, in no checkpoint and no
    optimizer. Where student and teacher differ in width, a learned projection stands between their
    hidden states; it is in the checkpoints to resume from, and in nothing that is exported.

    Args:
        teacher: A checkpoint of `glint fit`, a folder or hub id of a fine-tuned model, or ``self``:
            what `model.model_name_or_path` names, before a student is cut from it
            (`model.structure`) and before it is pruned.
        soft_targets: Weight of the teacher's answers.
        temperature: Of the soft targets, above 0; regression has none.
        hidden_states: Weight of the layers' hidden states.
        attentions: Weight of the attention maps; student and teacher need as many heads.
        relations: Weight of the relations among queries, keys and values of one layer.
        embeddings: Weight of the embeddings' output.
        task: Weight of the task's own loss; 0 for the teacher alone.
        layer_map: Which teacher layer teaches which student layer: ``kept`` the one that it was,
            where the student was cut from the teacher, and else as ``even``, which spaces them;
            ``last`` takes the topmost, ``adaptive`` lets four teacher layers choose the nearest
            student layer at each step (CoFi, Xia et al. 2022, arXiv:2204.00408, section 3.2).
        relation_heads: Parts into which queries, keys and values are cut; the teacher's number of
            heads by default.
        relation_layer: The teacher's layer of the relations, from 1; its last by default. The
            student's is its last.
        schedules: By the term's name, how its weight changes over the run.
        projection_learning_rate: Of the projection.
        precision: The teacher's: of the ``run``, ``float32`` or ``bfloat16``.
        cache: Run the teacher once over the training data and keep what the terms read.
        cache_dtype: ``float32``, or ``float16`` for half the space of what has tokens.
        cache_dir: Where caches are; shared by runs.
        gradient_shares_every_n_steps: Write each term's share in the gradient's norm every so many
            steps, which costs a backward pass a term; 0 for never.

    Example::

        --trainer.callbacks+=callbacks.Distillation --model.structure.num_layers=3
        --model.model_name_or_path=runs/sst2/version_0/checkpoints/best.ckpt
    """

    def __init__(
        self,
        teacher: str = SELF,
        soft_targets: float = 1.0,
        temperature: float = 2.0,
        hidden_states: float = 0.0,
        attentions: float = 0.0,
        relations: float = 0.0,
        embeddings: float = 0.0,
        task: float = 1.0,
        layer_map: LayerMap = "kept",
        relation_heads: int | None = None,
        relation_layer: int | None = None,
        schedules: dict[str, WeightSchedule] | None = None,
        projection_learning_rate: float = 1e-3,
        precision: TeacherPrecision = "run",
        cache: bool = False,
        cache_dtype: Literal["float32", "float16"] = "float32",
        cache_dir: str | None = None,
        gradient_shares_every_n_steps: int = 0,
    ) -> None:
        self.teacher = teacher
        self.weights = {
            "soft_targets": soft_targets,
            "hidden_states": hidden_states,
            "attentions": attentions,
            "relations": relations,
            "embeddings": embeddings,
            TASK: task,
        }
        self.temperature = temperature
        self.layer_map = layer_map
        self.relation_heads = relation_heads
        self.relation_layer = relation_layer
        self.schedules = dict(schedules or {})
        self.projection_learning_rate = projection_learning_rate
        self.precision = precision
        self.cache = CacheOptions(cache_dtype, cache_dir) if cache else None
        self.gradient_shares_every_n_steps = gradient_shares_every_n_steps
        self._check_arguments()
        self._loaded: Teacher | None = None
        self._agreement: TeacherAgreement | None = None
        self._outputs: TeacherOutputs | None = None
        self._student: Features | None = None
        self._teaches: dict[str, Tensor] = {}
        self._added: list[str] = []
        self._in_steps: dict[str, WeightSchedule] = {}
        self._restored_hash: str | None = None

    def state_dict(self) -> dict[str, Any]:
        """Which teacher it was."""
        return {} if self._outputs is None else {"teacher": self._outputs.weights_hash}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember which teacher it was."""
        self._restored_hash = state_dict.get("teacher")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the teacher, and make the projection before the strategy wraps the model."""
        if stage != "fit":
            return
        if not isinstance(pl_module, TextClassifier):
            raise InputError(
                f"Expected a `TextClassifier` for `callbacks.Distillation`, got"
                f" {type(pl_module).__name__}."
            )
        pl_module.ensure_network()
        self._loaded = load_teacher(self.teacher, pl_module)
        if self._loaded.tokenizer is not None and self._asks_for_layers():
            raise InputError(
                f"Expected a teacher with the student's tokenizer for {self._layer_terms()}, whose"
                f" tokens are compared one by one, got {self._loaded.name!r} with another; keep"
                " `soft_targets` alone, or choose another teacher."
            )
        widths = [n.config.hidden_size for n in (pl_module.network, self._loaded.network)]  # type: ignore[union-attr]
        if widths[0] != widths[1] and (self.weights["hidden_states"] or self.weights["embeddings"]):
            pl_module.add_companion(PROJECTION, Projection(*widths), self.projection_learning_rate)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the terms; run the teacher over the training data if its outputs are cached."""
        assert isinstance(pl_module, TextClassifier)
        assert self._loaded is not None
        torch.nn.Module.to(self._loaded.network, pl_module.device)  # the stub of `to` is of no use
        terms = self._terms(trainer, pl_module, self._loaded)
        assert pl_module.network is not None
        names = [name for term in terms.values() for name in term.of_student]
        self._student = Features(pl_module.network, names)
        of_teacher = [name for term in terms.values() for name in term.of_teacher]
        self._outputs = TeacherOutputs(
            self._loaded, of_teacher, self._forward_context(trainer, pl_module)
        )
        self._check_same_teacher(self._outputs.weights_hash)
        if self.cache is not None:
            self._outputs.keep(trainer, self.cache, self.precision)
        for name, term in terms.items():
            self._add(trainer, pl_module, name, term)
        schedule = self._weight_of(trainer, pl_module, TASK)
        pl_module.objective.reweight(TASK, schedule)
        assert pl_module.task is not None
        self._agreement = TeacherAgreement(self._outputs, pl_module.task.problem_type)

    def course(self, step: int) -> dict[str, float]:
        """The weight of each term by then, for `glint plan`; from `on_fit_start`."""
        weights = {name: self.weights[name] for name in (*TERMS, TASK) if self.weights[name]}
        factors = {name: schedule.factor(step) for name, schedule in self._in_steps.items()}
        return {f"weight of {n}": w * factors.get(n, 1.0) for n, w in weights.items()}

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ask the teacher."""
        assert self._outputs is not None
        self._teaches = self._outputs.of_training(batch, trainer.datamodule)  # type: ignore[attr-defined]

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Write the terms' shares in the gradient, if that was asked for."""
        every = self.gradient_shares_every_n_steps
        if not every or trainer.logger is None or trainer.fit_loop._should_accumulate():
            return
        if trainer.global_step % every == 0:
            assert isinstance(pl_module, TextClassifier)
            trainer.logger.log_metrics(_gradient_shares(pl_module), step=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let go of the batch."""
        assert self._student is not None
        self._student.clear()
        self._teaches = {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last validation."""
        if self._agreement is not None:
            self._agreement.reset(pl_module.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Compare the answers."""
        if self._agreement is not None:
            data = trainer.datamodule  # type: ignore[attr-defined]
            split = data.split_names("validate")[dataloader_idx]
            self._agreement.update(outputs, batch, data, split)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log ``val/teacher_agreement`` and ``val/teacher_divergence``."""
        if self._agreement is not None:
            pl_module.log_dict(self._agreement.compute())

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the module as it was."""
        if self._student is None:
            return
        assert isinstance(pl_module, TextClassifier)
        for name in self._added:
            pl_module.objective.remove(name)
        pl_module.objective.reweight(TASK, 1.0)
        self._student.remove()
        self._added, self._student, self._agreement, self._outputs = [], None, None, None

    def _terms(
        self, trainer: Trainer, model: TextClassifier, teacher: Teacher
    ) -> dict[str, DistillationTerm]:
        assert model.network is not None
        assert model.task is not None
        problem_type = model.task.problem_type
        pairing = LayerPairing(model, teacher)
        makers: dict[str, Any] = {
            "soft_targets": lambda: SoftTargets(problem_type, self.temperature),
            "hidden_states": lambda: self._hidden_states(trainer, model, pairing),
            "attentions": lambda: pairing.attentions(self.layer_map),
            "relations": lambda: pairing.relations(self.relation_layer, self.relation_heads),
            "embeddings": lambda: HiddenStates(((0, 0),), self._project(model)),
        }
        return {name: makers[name]() for name in TERMS if self.weights[name] > 0}

    def _hidden_states(
        self, trainer: Trainer, model: TextClassifier, pairing: LayerPairing
    ) -> DistillationTerm:
        project = self._project(model)
        if self.layer_map != "adaptive":
            return HiddenStates(pairing.pairs(self.layer_map), project)
        count = min(MATCHED_LAYERS, pairing.student_layers, pairing.teacher_layers)
        chosen = even_layers(count, pairing.teacher_layers)
        return NearestHiddenStates(
            chosen, pairing.student_layers, project, lambda t: _mean_over_processes(trainer, t)
        )

    def _project(self, model: TextClassifier) -> Any:
        return model.companion(PROJECTION) or identity

    def _add(
        self, trainer: Trainer, model: TextClassifier, name: str, term: DistillationTerm
    ) -> None:
        def loss(batch: dict[str, Any], outputs: Any) -> Tensor:
            assert self._student is not None
            student = self._student.of(outputs)
            # Projections are in the run's precision, the losses in float32 at least.
            losses = term.losses(student, self._teaches, batch["attention_mask"])
            return weighted_mean(losses, batch.get("row_weight"))

        options = network_options(term.of_student)
        model.objective.add(name, loss, self._weight_of(trainer, model, name), **options)
        self._added.append(name)

    def _weight_of(self, trainer: Trainer, model: TextClassifier, name: str) -> Any:
        weight, schedule = self.weights[name], self.schedules.get(name)
        if schedule is None:
            return weight
        in_steps = self._in_steps[name] = schedule.in_steps(trainer)
        return lambda: weight * in_steps.factor(trainer.global_step)

    def _forward_context(self, trainer: Trainer, model: TextClassifier) -> Any:
        """What makes a new context for each forward pass of the teacher."""
        if self.precision == "run":
            return trainer.precision_plugin.forward_context
        if self.precision == "float32":
            return lambda: torch.autocast(model.device.type, enabled=False)
        return lambda: torch.autocast(model.device.type, dtype=torch.bfloat16)

    def _asks_for_layers(self) -> bool:
        return bool(self._layer_terms())

    def _layer_terms(self) -> str:
        return ", ".join(
            f"`{name}`" for name in TERMS if name != "soft_targets" and self.weights[name] > 0
        )

    def _check_same_teacher(self, weights_hash: str) -> None:
        if self._restored_hash not in (None, weights_hash):
            raise InputError(
                f"Expected `teacher` {self.teacher!r} to be the one that the run began with, but"
                " its weights differ; put the old one back, or start a new run from the student's"
                " checkpoint with `--model.model_name_or_path`."
            )

    def _check_arguments(self) -> None:
        for name, weight in self.weights.items():
            if weight < 0:
                raise InputError(f"Expected `{name}` to be at least 0, got {weight}.")
        if not any(self.weights[name] for name in TERMS):
            raise InputError(
                f"Expected a weight above 0 for one of {', '.join(TERMS)}, got none; set"
                " `soft_targets: 1.0`, or take `callbacks.Distillation` out."
            )
        if self.temperature <= 0:
            raise InputError(f"Expected `temperature` to be above 0, got {self.temperature}.")
        for name, value, known in (
            ("layer_map", self.layer_map, LAYER_MAPS),
            ("precision", self.precision, TEACHER_PRECISIONS),
        ):
            if value not in known:
                raise InputError(
                    f"Expected `{name}` to be one of {', '.join(known)}, got {value!r}."
                )
        if self.layer_map == "adaptive" and self.weights["attentions"]:
            raise InputError(
                "Expected `layer_map: kept`, `even` or `last` with `attentions`, got 'adaptive',"
                " which is for hidden states; set `attentions: 0`, or another map."
            )
        for name in self.schedules:
            if not self.weights.get(name):
                raise InputError(
                    "Expected `schedules` to name terms with a weight above 0"
                    f" ({', '.join(n for n, w in self.weights.items() if w)}), got {name!r}."
                )
        if self.gradient_shares_every_n_steps < 0:
            raise InputError(
                "Expected `gradient_shares_every_n_steps` to be at least 0, got"
                f" {self.gradient_shares_every_n_steps}."
            )


def _mean_over_processes(trainer: Trainer, tensor: Tensor) -> Tensor:
    reduced: Tensor = trainer.strategy.reduce(tensor, reduce_op="mean")
    return reduced


def _gradient_shares(model: TextClassifier) -> dict[str, float]:
    """Share of each term in the sum of the terms' gradient norms, by name."""
    assert model.network is not None
    weights = [p for p in model.network.parameters() if p.requires_grad]
    norms = {}
    for name, term in model.live_terms.items():
        gradients = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
        squares = [g.float().square().sum() for g in gradients if g is not None]
        norms[name] = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
    total = sum(norms.values()) or 1.0
    return {f"gradient_share/{name}": norm / total for name, norm in norms.items()}
