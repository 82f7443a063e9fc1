"""What runs, recipes and benchmarks leave, written by hand."""

import json
from pathlib import Path
from typing import Any


def write_run(folder: Path, score: float = 0.8, seconds: float = 60.0, **metrics: Any) -> Path:
    """The folder of a fit, without a checkpoint."""
    folder.mkdir(parents=True)
    plain = {
        "task": "mrpc",
        "model": "embedded",
        "best": {"val/score": score, "step": 10},
        "seconds": seconds,
        "parameters": 22_700_000,
        "nonzero_share": 1.0,
        "seed": 1,
        **metrics,
    }
    (folder / "metrics.json").write_text(json.dumps(plain))
    (folder / "config.yaml").write_text("data: {init_args: {dataset: embedded}}\n")
    return folder


def estimate(value: float, arm: float = 0.0) -> dict[str, float]:
    return {"value": value, "low": value - arm, "high": value + arm}


def measured(name: str, kind: str, ms: float, score: float, **more: Any) -> dict[str, Any]:
    """An artifact of a benchmark, in two cells; in the second it takes twice as long."""
    cells = [
        {
            "cell": {"batch_size": 1, "length": length, "threads": 1},
            "network": {"median_ms": estimate(ms * factor, 0.1)},
        }
        for length, factor in ((128, 2.0), (None, 1.0))
    ]
    scores = {"metrics": {"score": estimate(score, 0.02)}, "calibration_error": 0.05, "flipped": 0}
    artifact = {
        "name": name,
        "folder": f"nowhere/{name}",
        "format": kind,
        "cells": cells,
        "scores": scores,
        "size_mb": None if kind == "eager" else 20.0,
        "parameters": 22_000_000 if kind == "eager" else 10_000_000,
        "nonzero_share": 1.0,
    }
    return {**artifact, **more}


def benchmark(*artifacts: dict[str, Any], failures: tuple[str, ...] = ()) -> dict[str, Any]:
    """The file of a benchmark."""
    return {
        "benchmark_version": 1,
        "processor": {"name": "A processor", "cores": 2.0},
        "data": {"source": "validation.jsonl", "rows": 408},
        "artifacts": list(artifacts),
        "failures": list(failures),
    }


def write_recipe(folder: Path, ms: float = 2.0, score: float = 0.85) -> Path:
    """The folder of a recipe whose dense model takes 8 ms and scores 0.86."""
    stages = [
        {"name": "teacher", "kind": "fit", "folder": "01-teacher", "seconds": 100.0},
        {"name": "small", "kind": "export", "folder": "02-small", "seconds": 10.0},
        {"name": "measure", "kind": "benchmark", "folder": "03-measure", "seconds": 20.0},
    ]
    write_run(folder / "01-teacher/fit/version_0", 0.86)
    (folder / "03-measure").mkdir()
    found = benchmark(
        measured("small", "onnx-int8", ms, score),
        measured("big", "onnx", 6.0, 0.86),
        measured("eager", "eager", 8.0, 0.86),
        failures=("something is slow",),
    )
    (folder / "03-measure/benchmark.json").write_text(json.dumps(found))
    results = [
        {"name": name, "artifact": f"artifacts/{name}", "format": kind, "speedup": s, "drop": d}
        for name, kind, s, d in (
            ("small", "onnx-int8", 8.0 / ms, 0.86 - score),
            ("big", "onnx", 8 / 6, 0.0),
        )
    ]
    plain = {
        "target": {"max_drop": 0.02, "batch_size": 1, "length": "task"},
        "stages": stages,
        "results": results,
        "benchmark": "03-measure/benchmark.json",
        "failures": ["something is slow"],
        "commands": ["glint fit --config teacher.yaml", "glint export"],
    }
    (folder / "compress.json").write_text(json.dumps(plain))
    return folder
