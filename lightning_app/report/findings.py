"""What was found on disk, in the words of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Value:
    """A number with its interval of 95 %, where there is one.

    Args:
        value: The number.
        low: Lower end; None where it is not known.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Model:
    """A line of the table.

    Args:
        name: Of the run, artifact or stage.
        source: Name of the RUN that it was found in.
        task: Its name; empty where it is not known.
        format: Of an artifact; empty of a checkpoint.
        score: On the validation rows.
        drop: Of the reference's score; positive where something was lost.
        latency_ms: Median of the network's call.
        speedup: Against the reference.
        size_mb: Of all files, in 10^6 bytes.
        parameters: Of the network.
        nonzero_share: Of these, in [0, 1].
        calibration_error: Expected, in [0, 1].
        flipped: Share of rows answered otherwise than the first artifact of its benchmark.
        is_reference: Whether speedup and drop of its source are relative to it.
        is_chosen: Whether its source names it as the one to use.
        artifact: Its folder.
        checkpoint: Its file.
        run_config: `config.yaml` of the fit that it comes from.
    """

    name: str
    source: str
    task: str = ""
    format: str = ""
    score: Value | None = None
    drop: float | None = None
    latency_ms: Value | None = None
    speedup: float | None = None
    size_mb: float | None = None
    parameters: int | None = None
    nonzero_share: float | None = None
    calibration_error: float | None = None
    flipped: float | None = None
    is_reference: bool = False
    is_chosen: bool = False
    artifact: Path | None = None
    checkpoint: Path | None = None
    run_config: Path | None = None

    @property
    def label(self) -> str:
        """For tables and pictures."""
        return f"{self.name} ({self.format})" if self.format else self.name


@dataclass(frozen=True)
class Shape:
    """What a network looks like.

    Args:
        name: Of the model.
        heads: Left in each layer.
        widths: FFN neurons left in each layer.
        sparsity: Share of zeros among each layer's weights, in [0, 1]; empty where not counted.
    """

    name: str
    heads: tuple[int, ...]
    widths: tuple[int, ...]
    sparsity: tuple[float, ...] = ()


@dataclass(frozen=True)
class Curves:
    """What a fit logged.

    Args:
        name: Of the run.
        scalars: Steps and values by tag.
    """

    name: str
    scalars: Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Cost:
    """What a part of the work took.

    Args:
        name: Of the run or stage.
        kind: Of the work, such as ``fit``.
        seconds: On the machine that did it.
        joules: Of the processor package; None where it was not read.
    """

    name: str
    kind: str
    seconds: float
    joules: float | None = None


@dataclass(frozen=True)
class SeedsTable:
    """Several seeds of one thing.

    Args:
        title: What was run.
        seeds: In order.
        head: Titles of the columns.
        rows: As many cells each, in words.
        notes: Sentences below.
        headline: What came out, in one sentence; empty where something else says it.
    """

    title: str
    seeds: tuple[int, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    headline: str = ""


@dataclass(frozen=True)
class Findings:
    """All that was found for one RUN, or for all of them.

    Args:
        sources: Name and kind of each RUN, such as ``("runs/mrpc/version_0", "fit")``.
        models: Lines of the table.
        shapes: Of their networks.
        curves: Of the fits.
        costs: Of all parts.
        seeds: Tables over seeds.
        sensitivities: Contents of `sensitivity.json`.
        quantizations: Contents of `quantized.json`.
        searches: Contents of `search.json`, with ``name``.
        commands: That led here, in order.
        facts: Machine and data, in words, by what they are.
        notes: Sentences: what was missing, and what a benchmark complained about.
        rows_file: Validation rows that a recipe left.
    """

    sources: tuple[tuple[str, str], ...] = ()
    models: tuple[Model, ...] = ()
    shapes: tuple[Shape, ...] = ()
    curves: tuple[Curves, ...] = ()
    costs: tuple[Cost, ...] = ()
    seeds: tuple[SeedsTable, ...] = ()
    sensitivities: tuple[Mapping[str, Any], ...] = ()
    quantizations: tuple[Mapping[str, Any], ...] = ()
    searches: tuple[Mapping[str, Any], ...] = ()
    commands: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows_file: Path | None = None

    @property
    def reference(self) -> Model | None:
        """What the others are compared with."""
        return next((model for model in self.models if model.is_reference), None)

    @property
    def chosen(self) -> Model | None:
        """The one to use."""
        return next((model for model in self.models if model.is_chosen), None)


def merged(found: Sequence[Findings]) -> Findings:
    """All of them as one; models of one name are told apart by their source."""
    tuples = (
        "sources",
        "models",
        "shapes",
        "curves",
        "costs",
        "seeds",
        "sensitivities",
        "quantizations",
        "searches",
        "commands",
        "notes",
    )
    joined: dict[str, Any] = {
        name: tuple(dict.fromkeys(entry for f in found for entry in getattr(f, name)))
        if name in ("commands", "notes")
        else tuple(entry for f in found for entry in getattr(f, name))
        for name in tuples
    }
    facts = {key: value for f in reversed(found) for key, value in f.facts.items()}
    rows_file = next((f.rows_file for f in found if f.rows_file is not None), None)
    whole = Findings(**joined, facts=facts, rows_file=rows_file)
    return replace(whole, models=_with_one_reference(_without_doubles(whole.models)))


def _without_doubles(models: Sequence[Model]) -> list[Model]:
    """An artifact that was named and that a benchmark has measured is one line, the measured."""
    measured = {m.artifact.resolve() for m in models if m.artifact and m.latency_ms is not None}
    return [
        m
        for m in models
        if m.latency_ms is not None or not m.artifact or m.artifact.resolve() not in measured
    ]


def _with_one_reference(models: Sequence[Model]) -> tuple[Model, ...]:
    """Drops that no source has told, against the first model of the same task."""
    first = next((m for m in models if m.is_reference), None)
    first = first or next((m for m in models if m.score is not None), None)
    if first is None or first.score is None:
        return tuple(models)
    reference = first.score.value
    filled = []
    for model in models:
        is_first = model is first
        is_comparable = model.task == first.task and model.score is not None and not is_first
        if model.drop is None and is_comparable and not model.is_reference:
            assert model.score is not None
            model = replace(model, drop=reference - model.score.value)
        filled.append(replace(model, is_reference=True) if is_first else model)
    return tuple(filled)
