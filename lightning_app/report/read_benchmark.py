"""The file of `glint benchmark`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_app.commands.benchmark_result import RESULT_VERSION
from lightning_app.errors import InputError
from lightning_app.recipes.result import EAGER
from lightning_app.report.files import mapping
from lightning_app.report.findings import Findings, Model, Value

KEY = "benchmark_version"
_BASELINES = ("eager", "compile")


def read_benchmark(plain: Mapping[str, Any], file: Path, name: str) -> Findings:
    """Lines of the table from a benchmark, in its first cell.

    Args:
        plain: Contents of the file.
        file: The file.
        name: For the reader.

    Raises:
        InputError: If another version wrote it.
    """
    if plain[KEY] != RESULT_VERSION:
        raise InputError(
            f"Expected a benchmark of version {RESULT_VERSION}, got version {plain[KEY]!r} in"
            f" {str(file)!r}; measure again with this Glint."
        )
    artifacts: Sequence[Mapping[str, Any]] = plain["artifacts"]
    cell = artifacts[0]["cells"][0]["cell"]
    models = [model_of(artifact, cell, name) for artifact in artifacts]
    named = zip(artifacts, models, strict=True)
    reference = next((m for a, m in named if a["format"] == EAGER), models[0])
    compared = tuple(against(model, reference) for model in models)
    return Findings(
        sources=((name, "benchmark"),),
        models=_with_fastest(compared),
        facts=facts_of_benchmark(plain, cell),
        notes=tuple(plain.get("failures", ())),
    )


def model_of(artifact: Mapping[str, Any], cell: Mapping[str, Any], source: str) -> Model:
    """A line of the table.

    Args:
        artifact: One of a benchmark.
        cell: Whose latency is wanted.
        source: Name of the RUN.
    """
    scores = mapping(artifact.get("scores"))
    score = mapping(scores.get("metrics")).get("score")
    cells = (found for found in artifact["cells"] if dict(found["cell"]) == dict(cell))
    found = next(cells, None)
    is_baseline = artifact["format"] in _BASELINES
    folder = Path(artifact["folder"])
    return Model(
        name=artifact["name"],
        source=source,
        format="" if artifact["name"] == artifact["format"] else artifact["format"],
        score=None if score is None else _value(score),
        latency_ms=None if found is None else _value(found["network"]["median_ms"]),
        size_mb=artifact.get("size_mb"),
        parameters=artifact.get("parameters"),
        nonzero_share=artifact.get("nonzero_share"),
        calibration_error=scores.get("calibration_error"),
        flipped=scores.get("flipped"),
        artifact=None if is_baseline or not folder.is_dir() else folder,
        checkpoint=folder if is_baseline and folder.is_file() else None,
    )


def against(model: Model, reference: Model) -> Model:
    """The line with its speedup and drop.

    Args:
        model: A line.
        reference: The line that they are relative to.
    """
    if model is reference:
        return replace(model, is_reference=True, speedup=1.0 if model.latency_ms else None)
    speedup = drop = None
    if model.latency_ms is not None and reference.latency_ms is not None:
        speedup = reference.latency_ms.value / model.latency_ms.value
    if model.score is not None and reference.score is not None:
        drop = reference.score.value - model.score.value
    return replace(model, speedup=speedup, drop=drop)


def facts_of_benchmark(plain: Mapping[str, Any], cell: Mapping[str, Any]) -> dict[str, str]:
    """Machine, what a call computes, and rows, in words."""
    processor, data = mapping(plain.get("processor")), mapping(plain.get("data"))
    length = cell.get("length")
    tokens = "the task's lengths" if length is None else f"{length} tokens"
    facts = {
        "processor": f"{processor['name']}, {processor['cores']:g} cores" if processor else "",
        "latency of": f"the network, batch {cell['batch_size']}, {tokens}, {cell['threads']}"
        f" thread{'s' * (cell['threads'] != 1)}",
        "scored on": f"{data['rows']:,} rows of {data['source']}" if data else "",
    }
    return {name: words for name, words in facts.items() if words}


def _value(estimate: Mapping[str, Any]) -> Value:
    return Value(float(estimate["value"]), estimate.get("low"), estimate.get("high"))


def _with_fastest(models: tuple[Model, ...]) -> tuple[Model, ...]:
    """The fastest other than the reference is the one to look at."""
    timed = [m for m in models if m.speedup is not None and not m.is_reference]
    if not timed:
        return models
    fastest = max(timed, key=lambda m: m.speedup or 0.0)
    return tuple(replace(m, is_chosen=True) if m is fastest else m for m in models)
