"""Replace the encoder's operators by cheaper ones: GELU by ReLU, LayerNorm by an affine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from callbacks.calibration import calibration_batches
from callbacks.compression import Compression
from callbacks.run_length import Unit
from callbacks.sparsity_schedule import SparsitySchedule, StepSchedule
from lightning_app.errors import InputError
from modules.families import layout_of
from modules.operators import RELU, Operators
from modules.text_classifier import TextClassifier

OPERATION = "operator_surgery"
CALIBRATION_BATCH_SIZE = 32


class OperatorSurgery(Compression):
    """Anneals cheaper operators into the encoder layers, as nn_pruning does (Lagunas et al. 2021,
    "Block Pruning For Faster Transformers", arXiv:2109.04838).

    From ``start`` to ``end`` the operator computes ``(1 - share) * old + share * new`` with a share
    that rises from 0 to 1 with the optimizer's steps; afterwards the new one alone. ReLU is a
    comparison where GELU is an error function, and plain `transformers` opens the result. An affine
    without statistics (the NoNorm of Sun et al. 2020, "MobileBERT", arXiv:2004.02984, section 3.3)
    needs no reduction over features; it starts from constants measured at ``start``, costs
    accuracy, and wants clipped gradients, whose norm grows without LayerNorms. The share and the
    constants are in the architecture record: any checkpoint opens without this callback.

    BERT, RoBERTa, DistilBERT, ELECTRA and MPNet; ALBERT, whose layers share weights, is refused.

    Args:
        relu: Replace the activation of the FFN by ReLU.
        affine_norm: Replace the LayerNorms of the layers by affines; not those of the embeddings.
        start: When the annealing begins, in ``unit``.
        end: When the old operators are gone, in ``unit``; by default two thirds into the run. What
            comes after is recovery.
        unit: Of ``start`` and ``end``: ``fraction`` of the run, ``epochs`` or optimizer ``steps``.
        num_samples: Training rows that the affines' constants are measured on.
        seed: Of the choice of rows.

    Example::

        --trainer.callbacks+=callbacks.OperatorSurgery --trainer.callbacks.end=0.5
    """

    def __init__(
        self,
        relu: bool = True,
        affine_norm: bool = False,
        start: float = 0.0,
        end: float | None = None,
        unit: Unit = "fraction",
        num_samples: int = 256,
        seed: int = 42,
    ) -> None:
        if not (relu or affine_norm):
            raise InputError(
                "Expected `relu` or `affine_norm` to be true, got neither; leave `relu` at true, or"
                " take `callbacks.OperatorSurgery` out."
            )
        if num_samples < 1:
            raise InputError(f"Expected `num_samples` to be at least 1, got {num_samples}.")
        with _in_our_words():
            self.schedule = SparsitySchedule(shape="linear", start=start, end=end, unit=unit)
        self.relu = relu
        self.affine_norm = affine_norm
        self.num_samples = num_samples
        self.seed = seed
        self._share = 0.0
        self._steps: StepSchedule | None = None

    @property
    def state_key(self) -> str:
        """One per choice of operators."""
        return self._generate_state_key(relu=self.relu, affine_norm=self.affine_norm)

    @property
    def is_complete(self) -> bool:
        """Whether the old operators are gone."""
        return self._share == 1

    def metrics(self) -> dict[str, float]:
        """The share of the new operators."""
        return {"operator_share": self._share}

    def course(self, step: int) -> dict[str, float | str]:
        """The share of the new operators by then."""
        assert self._steps is not None, "known when the fit has started"
        return {"new operators": 0.0 if step < self._steps.start else _share(self._steps, step)}

    def state_dict(self) -> dict[str, Any]:
        """The share; what it is a share of is in the architecture record."""
        return {"share": self._share}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the saved share."""
        self._share = state_dict["share"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the operators in, at a share of 0, before the strategy wraps the model."""
        if stage != "fit":
            return
        model = self.classifier(pl_module)
        model.ensure_network()
        assert model.architecture is not None
        if self._was_begun(model):  # the checkpoint to resume is; its operators are here
            return
        present = model.architecture.operators or Operators()
        self._check(trainer, model, present)
        model.set_operators(self._raised(present, 0.0))
        model.architecture = model.architecture.with_operation(
            OPERATION, relu=self.relu, affine_norm=self.affine_norm
        )

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the steps; a resumed checkpoint must be of a run with this callback."""
        assert isinstance(pl_module, TextClassifier)
        if not self._was_begun(pl_module):
            raise InputError(
                "Expected `--ckpt_path` to be of a run with `callbacks.OperatorSurgery` and the"
                f" same `relu` ({self.relu}) and `affine_norm` ({self.affine_norm}), but it is not;"
                " to start from its weights, use `--model.model_name_or_path CHECKPOINT` in place"
                " of `--ckpt_path`."
            )
        with _in_our_words():
            self._steps = self.schedule.in_steps(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Raise the share to that of the coming optimizer step."""
        assert self._steps is not None
        step = trainer.global_step
        if self.is_complete or step < self._steps.start:
            return
        assert isinstance(pl_module, TextClassifier)
        assert pl_module.architecture is not None
        operators = pl_module.architecture.operators
        assert operators is not None, "put in at setup"
        if self.affine_norm and operators.constants is None:
            operators = replace(operators, constants=self._constants(trainer, pl_module))
        self._share = _share(self._steps, step)
        pl_module.set_operators(self._raised(operators, self._share))

    def _raised(self, operators: Operators, share: float) -> Operators:
        """With at least this share; a start from within another run's annealing never goes back."""
        if self.relu:
            operators = replace(operators, relu=max(operators.relu or 0.0, share))
        if self.affine_norm:
            operators = replace(operators, affine_norm=max(operators.affine_norm or 0.0, share))
        return operators

    def _constants(self, trainer: Trainer, model: TextClassifier) -> Any:
        data = trainer.datamodule  # type: ignore[attr-defined]
        batches = calibration_batches(
            data, model, self.num_samples, CALIBRATION_BATCH_SIZE, self.seed
        )
        # Sums differ by device; all processes must compute the same.
        return trainer.strategy.broadcast(model.measure_norms(batches))

    def _check(self, trainer: Trainer, model: TextClassifier, present: Operators) -> None:
        assert model.network is not None
        layout = layout_of(model.network)  # refuses families whose layers cannot be changed
        if self.relu and getattr(model.network.config, layout.activation_key) == RELU:
            raise InputError(
                "Expected a base model with another activation than ReLU for `relu: true`, but its"
                f" `{layout.activation_key}` is {RELU}; set `relu: false`."
            )
        if self.affine_norm and present.affine_norm == 1:
            raise InputError(
                "Expected a base model with LayerNorms for `affine_norm: true`, but its norms are"
                " affine already; set `affine_norm: false`."
            )
        if self.affine_norm:  # refuses data without rows to measure on now, not at `start`
            trainer.datamodule.calibration_loader(1, 1, self.seed)  # type: ignore[attr-defined]

    def _was_begun(self, model: TextClassifier) -> bool:
        """Whether this change was begun since the weights were loaded."""
        assert model.architecture is not None
        ours = {"operation": OPERATION, "relu": self.relu, "affine_norm": self.affine_norm}
        return ours in model.architecture.since_start


def _share(steps: StepSchedule, step: int) -> float:
    if step >= steps.end:
        return 1.0
    return (step - steps.start) / (steps.end - steps.start)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Say of these arguments what `SparsitySchedule` says of its own."""
    try:
        yield
    except InputError as error:
        message = str(error).replace("schedule.", "")
        message = message.replace("a pruning schedule", "`callbacks.OperatorSurgery`")
        goal = "the final sparsity to be reached"
        raise InputError(message.replace(goal, "the old operators to be gone")) from None
