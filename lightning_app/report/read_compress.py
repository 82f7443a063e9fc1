"""The folder of a recipe."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_app.recipes.result import EAGER, FILE
from lightning_app.recipes.stage_commands import CONFIG, ROWS, RUN
from lightning_app.report.files import json_or_empty, mapping, read_json, yaml_or_empty
from lightning_app.report.findings import Cost, Curves, Findings, Model, Shape, Value
from lightning_app.report.read_artifact import is_artifact, read_artifact
from lightning_app.report.read_benchmark import against, facts_of_benchmark, model_of
from lightning_app.report.read_run import facts_of_run, joules_of, read_curves
from lightning_app.report.shapes import shape_of_checkpoint

DENSE = "dense, PyTorch float32"


def is_compress(folder: Path) -> bool:
    """Whether a recipe has ended here."""
    return (folder / FILE).is_file()


def read_compress(folder: Path, name: str) -> Findings:
    """What a recipe left.

    Args:
        folder: `runs/compress/NAME`.
        name: For the reader.

    Raises:
        InputError: If `compress.json` cannot be read.
    """
    plain = read_json(folder / FILE)
    stages = [mapping(stage) for stage in plain.get("stages", ())]
    benchmark = plain.get("benchmark")
    measured = {} if benchmark is None else json_or_empty(folder / benchmark)
    cell = _cell(measured, mapping(plain.get("target")))
    fit = next((folder / s["folder"] / RUN for s in stages if s["kind"] == "fit"), None)
    metrics = {} if fit is None else json_or_empty(fit / "metrics.json")
    models = _models(plain, folder, measured, cell, name)
    rows = None if benchmark is None else (folder / benchmark).with_name(ROWS)
    facts = {} if fit is None else facts_of_run(metrics, yaml_or_empty(fit / CONFIG))
    if cell is not None:
        facts |= facts_of_benchmark(measured, cell)
        facts["scored on"] = f"{measured['data']['rows']:,} validation rows"
    task = str(metrics.get("task") or "")
    return Findings(
        sources=((name, "recipe"),),
        models=tuple(_with_origin(replace(m, task=task), stages, folder) for m in models),
        shapes=tuple(_shapes(stages, folder)),
        curves=tuple(_curves(stages, folder)),
        costs=tuple(_cost(stage, folder) for stage in stages),
        commands=tuple(plain.get("commands", ())),
        facts=facts,
        notes=tuple(plain.get("failures", ())),
        rows_file=rows if rows is not None and rows.is_file() else None,
    )


def _cell(measured: Mapping[str, Any], target: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Where the target is; or else the first."""
    artifacts = measured.get("artifacts") or ()
    if not artifacts:
        return None
    cells = [found["cell"] for found in artifacts[0]["cells"]]
    length = target.get("length", "task")
    wanted = (target.get("batch_size", 1), None if length == "task" else length)
    matching = (c for c in cells if (c["batch_size"], c["length"]) == wanted)
    return next(matching, cells[0])  # type: ignore[no-any-return]


def _models(
    plain: Mapping[str, Any],
    folder: Path,
    measured: Mapping[str, Any],
    cell: Mapping[str, Any] | None,
    source: str,
) -> list[Model]:
    outcomes = {result["name"]: result for result in plain.get("results", ())}
    if cell is None:
        return [_model_of_outcome(outcome, folder, source) for outcome in outcomes.values()]
    found = [(a, model_of(a, cell, source)) for a in measured["artifacts"]]
    dense = next((m for a, m in found if a["format"] == EAGER), found[0][1])
    models = [against(dense, dense)]
    models += [against(model, dense) for _, model in found if model is not dense]
    models[0] = replace(models[0], name=DENSE, format="")
    chosen = _chosen_name(list(outcomes.values()), mapping(plain.get("target")))
    return [
        replace(
            model,
            is_chosen=model.name == chosen,
            artifact=folder / outcomes[model.name]["artifact"]
            if model.name in outcomes
            else model.artifact,
        )
        for model in models
    ]


def _model_of_outcome(outcome: Mapping[str, Any], folder: Path, source: str) -> Model:
    """Without a benchmark the manifest knows size and parameters."""
    artifact = folder / outcome["artifact"]
    if is_artifact(artifact):
        return replace(read_artifact(artifact, outcome["name"]).models[0], source=source)
    score = outcome.get("score")
    value = None if score is None else Value(score)
    return Model(outcome["name"], source, format=outcome["format"], score=value)


def _chosen_name(outcomes: list[Mapping[str, Any]], target: Mapping[str, Any]) -> str | None:
    """By the rule that `glint compress` names its artifact by."""
    asked = [o for o in outcomes if o.get("wanted")] or outcomes
    allowed = target.get("max_drop", 0.01) + 1e-9
    within = [o for o in asked if o.get("drop") is None or o["drop"] <= allowed]
    if within:
        return str(max(within, key=lambda o: o.get("speedup") or 0.0)["name"])
    return str(min(asked, key=lambda o: o.get("drop") or 0.0)["name"]) if asked else None


def _with_origin(model: Model, stages: list[dict[str, Any]], folder: Path) -> Model:
    """The dense model's checkpoint, and the configuration of the fit that each comes from."""
    fit = next((s for s in stages if s["kind"] == "fit"), None)
    if fit is None:
        return model
    config = folder / fit["folder"] / RUN / CONFIG
    checkpoint = model.checkpoint
    if model.is_reference and fit.get("checkpoint"):
        checkpoint = folder / fit["folder"] / fit["checkpoint"]
    return replace(
        model,
        checkpoint=checkpoint if checkpoint is not None and checkpoint.is_file() else None,
        run_config=config if config.is_file() else None,
    )


def _shapes(stages: list[dict[str, Any]], folder: Path) -> Iterator[Shape]:
    for stage in stages:
        if stage.get("checkpoint"):
            file = folder / stage["folder"] / stage["checkpoint"]
            shape = shape_of_checkpoint(stage["name"], file)
            if shape is not None:
                yield shape


def _cost(stage: Mapping[str, Any], folder: Path) -> Cost:
    """Joules are of a fit's training and validation."""
    metrics = json_or_empty(folder / stage["folder"] / RUN / "metrics.json")
    return Cost(stage["name"], stage["kind"], float(stage["seconds"]), joules_of(metrics))


def _curves(stages: list[dict[str, Any]], folder: Path) -> Iterator[Curves]:
    for stage in stages:
        if stage["kind"] == "fit":
            found = read_curves(folder / stage["folder"] / RUN, stage["name"])
            if found is not None:
                yield found
