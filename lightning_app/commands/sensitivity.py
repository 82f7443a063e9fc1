"""What pruning each layer alone costs, without training."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext

from callbacks.structure_importance import measured_importance
from datamodules import TextDataModule
from lightning_app.commands.prunable_parts import (
    KINDS,
    Kind,
    Part,
    structure_parts,
    weight_parts,
)
from lightning_app.commands.row_scorer import Precision, Score
from lightning_app.commands.sensitivity_result import (
    Measurement,
    Plan,
    SensitivityResult,
    planned_shares,
)
from lightning_app.commands.validation_scorer import ValidationScorer
from lightning_app.errors import InputError
from modules.families import FAMILIES
from modules.structure import evaluation_mode
from modules.text_classifier import TextClassifier


class Sensitivity:
    """Prunes each part of the network alone and scores what is left on the validation set (Li et
    al. 2017, "Pruning Filters for Efficient ConvNets", arXiv:1608.08710, section 3.2).

    Heads and FFN neurons go as in `callbacks.StructuredPruning`, the least important by their
    Taylor importance first; single weights as in `callbacks.MagnitudePruning`, the smallest first.
    The model is as it was afterwards, to the bit. The plan has for each part the largest share
    that costs at most ``max_drop``, as all smaller ones do; all together cost more, which training
    wins back.

    Args:
        shares: To prune of each part, in (0, 1).
        kinds: ``heads``, ``neurons`` and ``unstructured`` (weights of linear layers).
        max_drop: What each part may cost in the plan, in units of the score: 0.01 is one point.
        num_rows: Score on at most so many rows of each validation split, for speed; None for all.
        num_samples: Training rows that the importance of heads and neurons is measured on.
        include: Patterns on module names; by default the linear layers of the encoder.
        exclude: Patterns on module names to leave out.
        output: Folder for the results; by default that of the checkpoint's run.
        seed: Of the choice of rows.

    Example::

        model = TextClassifier.load_from_checkpoint("runs/mrpc/version_0/checkpoints/best.ckpt")
        data = GLUEDataModule("mrpc", tokenizer="bert-base-uncased")
        result = Sensitivity(kinds=["unstructured"]).measure(model, data)
    """

    def __init__(
        self,
        shares: Sequence[float] = (0.25, 0.5, 0.75, 0.9),
        kinds: Sequence[Kind] = KINDS,
        max_drop: float = 0.01,
        num_rows: int | None = None,
        num_samples: int = 512,
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        output: str | None = None,
        seed: int = 42,
    ) -> None:
        self.shares = tuple(sorted(set(shares)))
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)
        self.max_drop = max_drop
        self.num_rows = num_rows
        self.num_samples = num_samples
        self.include = include
        self.exclude = exclude
        self.output = output
        self.seed = seed
        self._check_arguments(kinds)

    def measure(
        self,
        model: TextClassifier,
        data: TextDataModule,
        precision: Precision = nullcontext,
        show_progress: bool = False,
    ) -> SensitivityResult:
        """Measure each part by each share.

        Args:
            model: With its network built, on the device to compute on.
            data: Of the model's task.
            precision: Of the network's calls.
            show_progress: On the terminal, with the time left.
        """
        self._check_family(model)
        started = time.monotonic()
        data.setup("validate")
        parts = self._parts(model, data)
        with evaluation_mode(model):
            scorer = ValidationScorer(model, data, self.num_rows, self.seed, precision)
            dense = scorer.score()
            found = self._measured(parts, scorer, dense, show_progress)
            measurements = tuple(m for part in parts for m in found[part])
            plan = planned_shares(measurements, dense.score, self.max_drop)
            together = {kind: _score_of_plan(plan, kind, parts, scorer) for kind in plan}
        return SensitivityResult(
            task=data.task.name,
            rows=scorer.rows,
            score=dense.score,
            loss=dense.loss,
            shares=self.shares,
            max_drop=self.max_drop,
            measurements=measurements,
            together=together,
            seconds=round(time.monotonic() - started, 1),
        )

    def _parts(self, model: TextClassifier, data: TextDataModule) -> list[Part]:
        parts: list[Part] = []
        structures = [kind for kind in self.kinds if kind != "unstructured"]
        if structures:
            data.setup("fit")
            importance = measured_importance(data, model, self.num_samples, self.seed)
            for kind in structures:
                parts += structure_parts(model, kind, importance)
        if "unstructured" in self.kinds:
            parts += weight_parts(model, self.include, self.exclude)
        return parts

    def _measured(
        self, parts: list[Part], scorer: ValidationScorer, dense: Score, show_progress: bool
    ) -> dict[Part, list[Measurement]]:
        from tqdm import tqdm  # type: ignore[import-untyped]

        # From the bottom up: what lies below a part is not computed again.
        bottom_up = sorted(parts, key=lambda part: part.layer or 0)
        total = len(parts) * len(self.shares)
        with tqdm(total=total, desc="Sensitivity", disable=not show_progress) as bar:
            found: dict[Part, list[Measurement]] = {}
            for part in bottom_up:
                found[part] = []
                for measurement in self._of_part(part, scorer, dense):
                    found[part].append(measurement)
                    bar.update()
        return found

    def _of_part(self, part: Part, scorer: ValidationScorer, dense: Score) -> Iterator[Measurement]:
        scores = {0: dense}  # by how many are removed: two shares of few heads may be the same
        for share in self.shares:
            removed = part.num_removed(share)
            if removed not in scores and removed < part.count:
                with part.pruned(share):
                    scores[removed] = scorer.score(from_layer=part.layer or 0)
            score, loss = scores.get(removed, (None, None))
            yield Measurement(
                part.kind, part.name, part.layer, share, removed, part.count, score, loss
            )

    def _check_arguments(self, kinds: Sequence[str]) -> None:
        if not self.shares or not all(0 < share < 1 for share in self.shares):
            raise InputError(
                "Expected `sensitivity.shares` to be one or more shares in (0, 1), got"
                f" {list(self.shares)}."
            )
        if not kinds or not set(kinds) <= set(KINDS):
            raise InputError(
                f"Expected `sensitivity.kinds` to be one or more of {', '.join(KINDS)}, got"
                f" {list(kinds)}."
            )
        if self.max_drop < 0:
            raise InputError(
                f"Expected `sensitivity.max_drop` to be at least 0, got {self.max_drop}."
            )
        for name in ("num_rows", "num_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"Expected `sensitivity.{name}` to be at least 1, got {value}.")

    def _check_family(self, model: TextClassifier) -> None:
        assert model.network is not None
        family = model.network.config.model_type
        structures = [kind for kind in self.kinds if kind != "unstructured"]
        if structures and family not in FAMILIES:
            raise InputError(
                f"Expected a model of the {', '.join(FAMILIES)} family to measure"
                f" {' and '.join(structures)}, got {family!r}; set"
                " `--sensitivity.kinds='[unstructured]'`."
            )


def _score_of_plan(plan: Plan, kind: Kind, parts: list[Part], scorer: ValidationScorer) -> float:
    with ExitStack() as pruned:
        for part in parts:
            if part.kind == kind and plan[kind][part.name]:
                pruned.enter_context(part.pruned(plan[kind][part.name]))
        return scorer.score().score
