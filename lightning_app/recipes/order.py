"""Which stage may follow which: what cannot work is refused before anything is computed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lightning_app.artifact.runtime import INT8
from lightning_app.errors import InputError
from lightning_app.recipes.composition import callback_names
from lightning_app.recipes.stage import Stage

MASKING = ("MagnitudePruning", "MovementPruning", "SecondOrderPruning")
STRUCTURE, MASKS, INTEGERS = "structure", "masks", "integers"


@dataclass(frozen=True)
class Step:
    """A stage with what it changes, for the rules.

    Args:
        stage: As in the recipe, its start filled in.
        config: Of a fit, composed; empty of others.
    """

    stage: Stage
    config: dict[str, Any]

    @property
    def changes(self) -> set[str]:
        """What it does to the network."""
        kind, names = self.stage.kind, callback_names(self.config)
        found = set()
        if kind == "shrink" or "StructuredPruning" in names or self._makes_student:
            found.add(STRUCTURE)
        if any(name in MASKING for name in names):
            found.add(MASKS)
        if kind == "quantize" or "QuantizationAwareTraining" in names:
            found.add(INTEGERS)
        return found

    @property
    def _makes_student(self) -> bool:
        return bool((self.config.get("model") or {}).get("structure"))


Rule = Callable[[Step, Sequence[Step]], Iterator[str]]
"""From a step and those that it builds on, the first of them first, to sentences against it."""


def check_order(steps: Sequence[Step]) -> None:
    """Refuse what cannot work.

    Args:
        steps: Of the recipe, in their order.

    Raises:
        InputError: With the first reason, and the way out.
    """
    by_name = {step.stage.name: step for step in steps}
    for step in steps:
        before = _lineage(step, by_name)
        for rule in RULES:
            for sentence in rule(step, before):
                raise InputError(f"Expected an order that works, but {sentence}")
    for sentence in _without_recovery(steps):
        raise InputError(f"Expected an order that works, but {sentence}")


def _lineage(step: Step, by_name: dict[str, Step]) -> list[Step]:
    found: list[Step] = []
    start = step.stage.start
    while start is not None:
        found.append(by_name[start])
        start = by_name[start].stage.start
    return found[::-1]


def _structure_after_integers(step: Step, before: Sequence[Step]) -> Iterator[str]:
    for earlier in _with(before, INTEGERS):
        if STRUCTURE in step.changes:
            yield (
                f"stage {step.stage.name!r} changes the structure of what {earlier!r} has"
                f" quantized: ranges would be of another network; move it before {earlier!r}."
            )


def _structure_after_masks(step: Step, before: Sequence[Step]) -> Iterator[str]:
    for earlier in _with(before, MASKS):
        if STRUCTURE in step.changes:
            yield (
                f"stage {step.stage.name!r} removes structure from what {earlier!r} has pruned to"
                f" an exact share of zeros; move it before {earlier!r}, or into the same fit."
            )


def _masks_are_lost(step: Step, before: Sequence[Step]) -> Iterator[str]:
    for earlier in _with(before, MASKS):
        if step.stage.kind == "fit" and MASKS not in step.changes:
            yield (
                f"the fit {step.stage.name!r} would train the zeros of {earlier!r} away; add the"
                " same pruning callback to it with `schedule: {shape: one_shot}`, or do both in"
                " one fit."
            )


def _masks_after_integers(step: Step, before: Sequence[Step]) -> Iterator[str]:
    for earlier in _with(before, INTEGERS):
        if MASKS in step.changes:
            yield (
                f"stage {step.stage.name!r} prunes what {earlier!r} has quantized; move it before"
                f" {earlier!r}, or into the same fit."
            )


def _integers_twice(step: Step, before: Sequence[Step]) -> Iterator[str]:
    for earlier in _with(before, INTEGERS):
        if step.stage.kind == "quantize":
            yield (
                f"stage {step.stage.name!r} quantizes what {earlier!r} has quantized already;"
                " leave one of them out."
            )


def _integers_are_missing(step: Step, before: Sequence[Step]) -> Iterator[str]:
    wanted = str(step.stage.options.get("format", ""))
    if step.stage.kind == "export" and wanted.endswith(INT8) and not _with(before, INTEGERS):
        yield (
            f"stage {step.stage.name!r} exports {wanted} of a model that nothing has quantized;"
            " put a stage of kind `quantize`, or a fit with `configs/callbacks/qat_static.yaml`,"
            " before it."
        )


def _nothing_to_export(step: Step, before: Sequence[Step]) -> Iterator[str]:
    if step.stage.kind not in ("fit", "benchmark") and not before:
        yield (
            f"stage {step.stage.name!r} of kind `{step.stage.kind}` has nothing to begin from; put"
            " a stage of kind `fit` first."
        )


RULES: tuple[Rule, ...] = (
    _nothing_to_export,
    _structure_after_integers,
    _structure_after_masks,
    _masks_after_integers,
    _masks_are_lost,
    _integers_twice,
    _integers_are_missing,
)


def _without_recovery(steps: Sequence[Step]) -> Iterator[str]:
    starts = {step.stage.start for step in steps if step.stage.kind == "fit"}
    for step in steps:
        if step.stage.kind == "shrink" and step.stage.name not in starts:
            yield (
                f"nothing is trained after {step.stage.name!r} has taken structure out; put a"
                " stage of kind `fit`, best with a `teacher`, behind it."
            )


def _with(before: Sequence[Step], change: str) -> list[str]:
    return [step.stage.name for step in before if change in step.changes]
