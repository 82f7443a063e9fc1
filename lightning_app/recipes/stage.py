"""What a recipe is made of, as plain data."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lightning_app.artifact.formats import FORMATS
from lightning_app.errors import InputError

StageKind = Literal["fit", "shrink", "quantize", "export", "benchmark"]
KINDS = ("fit", "shrink", "quantize", "export", "benchmark")
WITH_CHECKPOINT = ("fit", "shrink", "quantize")
"""Kinds whose result is a checkpoint that others begin from."""


@dataclass(frozen=True)
class Stage:
    """One command on the result of an earlier one.

    Args:
        name: Of letters, digits, - and _; also of its folder.
        kind: ``fit``; ``shrink`` to a structure that meets the target; ``quantize`` without
            training; ``export``; ``benchmark`` of all that was exported.
        start: The stage whose checkpoint it begins from; by default the last one that has a
            checkpoint, and for the first fit what the configuration names.
        teacher: Of a fit with `callbacks.Distillation`: the stage whose checkpoint teaches.
        config: Of a fit: YAML files that are added to the recipe's `base`.
        options: Of a fit: further configuration, in the words of its YAML. Of the others: the
            options of the command, such as ``{format: onnx-int8}``.
    """

    name: str
    kind: StageKind
    start: str | None = None
    teacher: str | None = None
    config: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "-_@." for c in self.name):
            raise InputError(
                f"Expected `stages.name` of letters, digits, - and _, got {self.name!r}."
            )
        if self.kind not in KINDS:
            raise InputError(
                f"Expected `kind` of stage {self.name!r} to be one of {', '.join(KINDS)}, got"
                f" {self.kind!r}."
            )
        if self.kind != "fit" and (self.config or self.teacher is not None):
            raise InputError(
                f"Expected `config` and `teacher` with `kind: fit` alone, got them in stage"
                f" {self.name!r} of kind {self.kind!r}; its options go into `options`."
            )

    @property
    def has_checkpoint(self) -> bool:
        """Whether others may begin from it."""
        return self.kind in WITH_CHECKPOINT


@dataclass(frozen=True)
class Target:
    """What the artifact is to achieve on this machine.

    Args:
        speedup: Times as fast as the dense model in plain PyTorch, float32.
        latency_ms: Of one call, in place of ``speedup``.
        size_mb: Of the exported folder, in 10^6 bytes, in place of the two.
        parameters: Most parameters that are left, in place of the three.
        max_drop: Of the score, in its own units: 0.01 is one point.
        runtime: The format that is to be fast; one of those of `glint export`.
        batch_size: Rows of the call that is timed.
        length: Tokens of its rows, or ``task`` for those that validation rows have.
        threads: To compute with; by default the cores that this process may use.
    """

    speedup: float | None = None
    latency_ms: float | None = None
    size_mb: float | None = None
    parameters: int | None = None
    max_drop: float = 0.01
    runtime: str = "openvino-int8"
    batch_size: int = 1
    length: int | Literal["task"] = "task"
    threads: int | None = None

    def __post_init__(self) -> None:
        goals = self.goals
        if len(goals) > 1:
            raise InputError(
                "Expected one of `target.speedup`, `latency_ms`, `size_mb` and `parameters`, got"
                f" {', '.join(goals)}; leave the others out."
            )
        for name, value in goals.items():
            if value <= 0:
                raise InputError(f"Expected `target.{name}` to be above 0, got {value:g}.")
        if self.max_drop < 0:
            raise InputError(f"Expected `target.max_drop` to be at least 0, got {self.max_drop:g}.")
        if self.runtime not in FORMATS:
            raise InputError(
                f"Expected `target.runtime` to be one of {', '.join(FORMATS)}, got"
                f" {self.runtime!r}."
            )
        if self.batch_size < 1:
            raise InputError(
                f"Expected `target.batch_size` to be at least 1, got {self.batch_size}."
            )
        if self.length != "task" and self.length < 4:
            raise InputError(
                f"Expected `target.length` to be `task` or at least 4 tokens, got {self.length}."
            )

    @property
    def goals(self) -> dict[str, float]:
        """What of the four is given, by name."""
        named = {name: getattr(self, name) for name in GOALS}
        return {name: float(value) for name, value in named.items() if value is not None}

    @property
    def without_goal(self) -> "Target":
        """The same, for a model that is not made for it."""
        return replace(self, speedup=None, latency_ms=None, size_mb=None, parameters=None)

    def with_speedup(self, speedup: float) -> "Target":
        """The same, for another speedup."""
        return replace(self, speedup=speedup)

    @property
    def in_words(self) -> str:
        """For headings: ``4x faster``."""
        for name, value in self.goals.items():
            return f"{value:g}x" if name == "speedup" else f"{name} {value:g}"
        return "no target"


GOALS = ("speedup", "latency_ms", "size_mb", "parameters")
