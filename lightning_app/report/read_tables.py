"""`sensitivity.json` and `quantized.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_app.commands.quantized_checkpoint import FILE as QUANTIZED
from lightning_app.report.files import json_or_empty
from lightning_app.report.findings import Cost, Findings, Model, Value

SENSITIVITY = "sensitivity.json"


def is_sensitivity(plain: Mapping[str, Any]) -> bool:
    """Whether `glint sensitivity` wrote it."""
    return {"measurements", "shares", "max_drop"} <= set(plain)


def is_quantization(plain: Mapping[str, Any]) -> bool:
    """Whether `glint quantize` wrote it."""
    return {"scheme", "before", "after", "num_quantized"} <= set(plain)


def tables_of_run(folder: Path, name: str) -> list[Findings]:
    """What other commands left in the folder of a fit."""
    found = []
    sensitivity = json_or_empty(folder / SENSITIVITY)
    if is_sensitivity(sensitivity):
        found.append(read_sensitivity(sensitivity, name))
    quantization = json_or_empty((folder / "checkpoints" / QUANTIZED).with_suffix(".json"))
    if is_quantization(quantization):
        found.append(read_quantization(quantization, name))
    return found


def read_sensitivity(plain: Mapping[str, Any], name: str) -> Findings:
    """What pruning each part alone costs.

    Args:
        plain: Contents of the file.
        name: For the reader.
    """
    return Findings(
        costs=(Cost(f"{name}, sensitivity", "sensitivity", float(plain["seconds"])),),
        sensitivities=({**plain, "name": name},),
        commands=(f"glint sensitivity --ckpt_path {plain.get('checkpoint')}",),
        facts={"task": str(plain["task"])},
    )


def read_quantization(plain: Mapping[str, Any], name: str) -> Findings:
    """What quantization without training costs.

    Args:
        plain: Contents of the file.
        name: For the reader.
    """
    before, after = plain["before"]["score"], plain["after"]["score"]
    model = Model(
        name=f"{name}, quantized",
        source=name,
        task=str(plain["task"]),
        score=Value(float(after)),
        drop=float(before) - float(after),
        size_mb=float(plain["weight_bytes"]) / 1e6,
    )
    return Findings(
        models=(model,),
        costs=(Cost(model.name, "quantize", float(plain["seconds"])),),
        quantizations=({**plain, "name": name},),
        facts={"task": str(plain["task"])},
    )
