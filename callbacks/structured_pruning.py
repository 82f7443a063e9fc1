"""Take out attention heads, FFN neurons and whole layers, for a network that is really smaller."""

from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from callbacks.compact_checkpoint import compact_checkpoint
from callbacks.mask_pattern import Scope
from callbacks.sparsity_schedule import SparsitySchedule
from callbacks.structure_gates import closed_gates, gate_masks, gate_weights, remove_closed
from callbacks.structure_importance import (
    TrainingImportance,
    measured_importance,
    weight_importance,
)
from callbacks.structure_target import StructureTarget
from callbacks.weight_masking import WeightMasking
from lightning_app.errors import InputError
from modules.families import layer_parts
from modules.student_structure import mapped_layers
from modules.text_classifier import TextClassifier

Importance = Literal["taylor", "magnitude", "random"]
IMPORTANCES = ("taylor", "magnitude", "random")
TRAINING_STEPS_OF_IMPORTANCE = 16
"""In a gradual run importance is the mean over the last so many steps before a change."""


class StructuredPruning(WeightMasking):
    """Removes the least important heads and FFN neurons, and whole layers.

    Importance is the first-order Taylor term of a gate on each head and neuron (Michel et al.
    2019, "Are Sixteen Heads Really Better than One?", arXiv:1905.10650, section 4; Molchanov et
    al. 2019, arXiv:1906.10771), over training rows. Without a ``schedule`` the network is pruned
    once, before training starts: begin with a fine-tuned one
    (`--model.model_name_or_path RUN/checkpoints/best.ckpt`), and training is as much faster as the
    network is smaller. With a schedule, gates close gradually during training at full size, and
    what they close is removed at the end, from the model and from ``best.ckpt``.

    BERT, RoBERTa, DistilBERT, ELECTRA and MPNet; ALBERT, whose layers share weights, is refused.

    Args:
        heads: Share of the attention heads to remove, in [0, 1).
        neurons: Share of the FFN neurons to remove, in [0, 1).
        keep_layers: How many layers stay (evenly spaced, the last one among them), or which,
            counted from 0.
        parameters: Share of the encoder layers' parameters to remove, in place of ``heads`` and
            ``neurons``; met to one neuron.
        flops: The same for FLOPs of the encoder layers, at ``sequence_length``.
        sequence_length: Tokens at which FLOPs count.
        importance: ``taylor``, ``magnitude`` of the weights, or ``random``.
        scope: ``layer`` removes the same share in each layer, ``global`` compares layers.
        layout: ``free``, or ``hf_uniform`` for a network that plain `transformers` opens: whole
            layers, and neurons by the same number in each.
        num_samples: Training rows that importance is measured on.
        plan: YAML of `glint sensitivity` with shares of heads and neurons for each layer, in place
            of ``heads`` and ``neurons``.
        schedule: None to prune once before training.
        seed: Of the choice of rows, and of ``random``.

    Example::

        --trainer.callbacks+=callbacks.StructuredPruning
        --trainer.callbacks.heads=0.5 --trainer.callbacks.neurons=0.5
    """

    def __init__(
        self,
        heads: float = 0.0,
        neurons: float = 0.0,
        keep_layers: int | list[int] | None = None,
        parameters: float | None = None,
        flops: float | None = None,
        sequence_length: int = 128,
        importance: Importance = "taylor",
        scope: Scope = "layer",
        layout: Literal["free", "hf_uniform"] = "free",
        num_samples: int = 512,
        plan: str | None = None,
        schedule: SparsitySchedule | None = None,
        seed: int = 42,
    ) -> None:
        super().__init__(schedule or SparsitySchedule())
        if importance not in IMPORTANCES:
            raise InputError(
                f"Expected `importance` to be one of {', '.join(IMPORTANCES)}, got {importance!r}."
            )
        if num_samples < 1:
            raise InputError(f"Expected `num_samples` to be at least 1, got {num_samples}.")
        self.target = StructureTarget(
            heads, neurons, parameters, flops, sequence_length, scope, layout, plan
        )
        if keep_layers is None and self.target.is_empty:
            raise InputError(
                "Expected one of `heads`, `neurons`, `keep_layers`, `parameters`, `flops` or"
                " `plan`, got none; set, for example, `heads: 0.5` and `neurons: 0.5`."
            )
        if keep_layers is not None and plan is not None:
            raise InputError(
                "Expected either `plan`, which is of all the layers there are, or `keep_layers`,"
                f" got plan={plan!r}, keep_layers={keep_layers}; leave one out, or drop the layers"
                " in a fit before and run `glint sensitivity` on its checkpoint."
            )
        self.keep_layers = keep_layers
        self.importance = importance
        self.num_samples = num_samples
        self.seed = seed
        self.is_gradual = schedule is not None
        if self.is_gradual and self.target.is_empty:
            raise InputError(
                "Expected `heads`, `neurons`, `parameters` or `flops` with a `schedule`, got"
                " `keep_layers` alone: layers go at once, before training; leave `schedule` out."
            )
        self._is_complete = not self.is_gradual
        self._measured = TrainingImportance()

    @property
    def state_key(self) -> str:
        """One per target: two callbacks in a run may remove different things."""
        return self._generate_state_key(target=str(self.target), keep_layers=self.keep_layers)

    def course(self, step: int) -> dict[str, float | str]:
        """How much of what is to go is closed by then; nothing where it went before training."""
        return super().course(step) if self.is_gradual else {}

    def state_dict(self) -> dict[str, Any]:
        """Masks and the importance measured so far."""
        return {**super().state_dict(), "measured": self._measured.as_plain()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with saved masks."""
        super().load_state_dict(state_dict)
        self._measured = TrainingImportance.from_plain(state_dict["measured"])

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove layers, and in one shot heads and neurons, before the strategy wraps the model."""
        if stage != "fit":
            return
        if self.is_gradual:
            super().setup(trainer, pl_module, stage)
        model = self.classifier(pl_module)
        model.ensure_network()
        assert model.network is not None
        num_layers = len(layer_parts(model.network))  # refuses families that cannot be pruned
        if self._has_pruned(model):  # the checkpoint to resume is; its structure is here already
            return
        self.target.shares(num_layers)  # a plan that does not fit is refused here, not steps later
        if self.keep_layers is not None:
            model.keep_layers(kept_layers(self.keep_layers, num_layers), by=self.state_key)
        if not self.is_gradual:
            self._prune_at_once(trainer, model)
        else:
            assert model.architecture is not None
            model.architecture = model.architecture.with_operation("gates", by=self.state_key)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pair gates with weights; a resumed checkpoint must have been pruned by this callback."""
        assert isinstance(pl_module, TextClassifier)
        if not self._has_pruned(pl_module):
            raise InputError(
                "Expected `--ckpt_path` to be of a run with `callbacks.StructuredPruning` as it is"
                " configured, but its network is not pruned so; to prune it, start from its weights"
                " with `--model.model_name_or_path CHECKPOINT` in place of `--ckpt_path`."
            )
        if self.is_gradual:
            super().on_fit_start(trainer, pl_module)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Measure importance on the gradients of the last steps before gates close."""
        if not self.is_complete and self.importance == "taylor":
            next_due = self.steps.next_due(trainer.global_step + 1)
            if next_due - trainer.global_step <= TRAINING_STEPS_OF_IMPORTANCE:
                assert isinstance(pl_module, TextClassifier)
                self._measured.add(pl_module)
        super().on_before_optimizer_step(trainer, pl_module, optimizer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove what the gates have closed."""
        if not (self.is_gradual and self.is_complete):
            return
        assert isinstance(pl_module, TextClassifier)
        remove_closed(pl_module, self.masks, by=self.state_key)
        best = getattr(trainer.checkpoint_callback, "best_model_path", "")
        if best and trainer.is_global_zero:
            compact_checkpoint(best, self.state_key)
        trainer.strategy.barrier()

    def _has_pruned(self, model: TextClassifier) -> bool:
        """Whether this callback has changed the structure since the weights were loaded."""
        assert model.architecture is not None
        return any(entry.get("by") == self.state_key for entry in model.architecture.since_start)

    def _find_parameters(self, model: TextClassifier) -> dict[str, Parameter]:
        return gate_weights(model)

    def _next_masks(self, trainer: Trainer, model: TextClassifier, step: int) -> dict[str, Tensor]:
        # On the host: which and how many differ by step, and each would be another program on XLA.
        heads, neurons = (
            [layer.cpu() for layer in kind] for kind in self._importance_at(trainer, model, step)
        )
        self._measured = TrainingImportance()
        for kind, closed in zip((heads, neurons), closed_gates(model, self.masks), strict=True):
            for importance, positions in zip(kind, closed, strict=True):
                importance[positions] = -torch.inf  # what is closed stays closed
        most = self.target.largest_share(len(heads))
        progress = self.steps.sparsity(step, most) / most
        return gate_masks(model, *self.target.choose(model, heads, neurons, progress))

    def _prune_at_once(self, trainer: Trainer, model: TextClassifier) -> None:
        if self.target.is_empty:
            return
        home = model.device
        model.to(trainer.strategy.root_device)
        importance = self._importance_at(trainer, model, 0)
        model.to(home)
        # Sums differ by device; all processes must remove the same.
        chosen = trainer.strategy.broadcast(self.target.choose(model, *importance, progress=1.0))
        before = sum(p.numel() for p in model.parameters())
        model.prune_structure(*chosen, by=self.state_key)
        after = sum(p.numel() for p in model.parameters())
        rank_zero_info(f"StructuredPruning: {before:,} parameters, now {after:,}.")

    def _importance_at(
        self, trainer: Trainer, model: TextClassifier, step: int
    ) -> tuple[list[Tensor], list[Tensor]]:
        if self.importance == "taylor" and not self._measured.is_empty:
            return self._measured.importance()
        if self.importance == "taylor":
            data = trainer.datamodule  # type: ignore[attr-defined]
            return measured_importance(data, model, self.num_samples, self.seed)
        seed = self.seed + step if self.importance == "random" else None
        return weight_importance(model, seed)


def kept_layers(wanted: int | list[int], count: int) -> list[int]:
    """Positions of the layers that stay: these, or so many, evenly spaced and with the last.

    Args:
        wanted: Number of layers, or positions.
        count: Number of layers there are.
    """
    if isinstance(wanted, int):
        if not 1 <= wanted < count:
            raise InputError(f"Expected `keep_layers` to be in [1, {count}), got {wanted}.")
        return mapped_layers(wanted, count, "even")
    layers = wanted
    if layers != sorted(set(layers)) or not set(layers) <= set(range(count)) or not layers:
        raise InputError(
            f"Expected `keep_layers` to be positions in [0, {count}) in ascending order, got"
            f" {wanted}."
        )
    return layers
