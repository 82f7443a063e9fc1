"""The folder of a fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_app.report.files import json_or_empty, mapping, yaml_or_empty
from lightning_app.report.findings import Cost, Curves, Findings, Model, Value
from lightning_app.report.shapes import shape_of_checkpoint

METRICS = "metrics.json"
MAX_POINTS = 400
"""Of a curve: more cannot be told apart in a picture."""


def is_run(folder: Path) -> bool:
    """Whether a fit has written here."""
    return (folder / METRICS).is_file() or (folder / "checkpoints").is_dir()


def read_run(folder: Path, name: str) -> Findings:
    """What a fit left.

    Args:
        folder: `runs/<name>/version_N`.
        name: For the reader.
    """
    metrics, config = json_or_empty(folder / METRICS), folder / "config.yaml"
    checkpoint = checkpoint_of(folder)
    model = Model(
        name=name,
        source=name,
        task=str(metrics.get("task") or ""),
        score=_score(metrics),
        parameters=metrics.get("parameters"),
        nonzero_share=metrics.get("nonzero_share"),
        checkpoint=checkpoint,
        run_config=config if config.is_file() else None,
    )
    shape = None if checkpoint is None else shape_of_checkpoint(name, checkpoint)
    curves = read_curves(folder, name)
    seconds = metrics.get("seconds")
    return Findings(
        sources=((name, "fit"),),
        models=(model,),
        shapes=() if shape is None else (shape,),
        curves=() if curves is None else (curves,),
        costs=() if seconds is None else (Cost(name, "fit", float(seconds), joules_of(metrics)),),
        commands=(f"glint fit --config {config}",) if config.is_file() else (),
        facts=facts_of_run(metrics, yaml_or_empty(config)),
        notes=_notes(folder, metrics, checkpoint),
    )


def checkpoint_of(folder: Path) -> Path | None:
    """`best.ckpt`, or else `last.ckpt`."""
    files = (folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    return next((file for file in files if file.is_file()), None)


def joules_of(metrics: Mapping[str, Any]) -> float | None:
    """That a fit took, where they were read."""
    joules = metrics.get("joules")
    return None if joules is None else float(joules)


def facts_of_run(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Data, base model, seed and versions, in words."""
    data = mapping(config.get("data"))
    options = mapping(data.get("init_args", data))
    packages = mapping(metrics.get("versions"))
    versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    facts = {
        "task": metrics.get("task"),
        "data": options.get("dataset") or options.get("train_file"),
        "base model": metrics.get("model"),
        "seed": metrics.get("seed"),
        "device of the fits": metrics.get("device"),
        "precision of the fits": metrics.get("precision"),
        "versions": versions or None,
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def read_curves(folder: Path, name: str) -> Curves | None:
    """Scalars of TensorBoard's files; None where there are none."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(folder.glob("events.out.tfevents*")):
        return None
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    scalars = {
        tag: _thinned([(int(e.step), float(e.value)) for e in events.Scalars(tag)])
        for tag in sorted(events.Tags()["scalars"])
        if not tag.startswith(("hp/", "throughput/", "memory/"))
    }
    return Curves(name, scalars) if scalars else None


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    every = -(-len(points) // MAX_POINTS)
    return points if every <= 1 else [*points[::every], points[-1]]


def _score(metrics: Mapping[str, Any]) -> Value | None:
    score = mapping(metrics.get("best")).get("val/score")
    return None if score is None else Value(float(score))


def _notes(folder: Path, metrics: Mapping[str, Any], checkpoint: Path | None) -> tuple[str, ...]:
    notes = []
    if not metrics:
        notes.append(f"{folder} has no {METRICS}: that fit has not been validated yet.")
    if checkpoint is None:
        notes.append(f"{folder} has no checkpoint.")
    return tuple(notes)
