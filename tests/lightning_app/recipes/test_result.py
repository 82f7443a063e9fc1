"""What was reached, from the benchmark's file."""

from pathlib import Path
from typing import Any

import pytest

from lightning_app.recipes.engine import DoneStage, clock
from lightning_app.recipes.recipe import PlannedStage
from lightning_app.recipes.result import RecipeResult, latency_of, recipe_result
from lightning_app.recipes.result_text import result_text
from lightning_app.recipes.stage import Stage, Target
from lightning_app.recipes.stage_folder import StageFolder, StageResult

TARGET = Target(speedup=4.0, runtime="onnx-int8", max_drop=0.01)


def artifact(name: str, kind: str, ms: float, score: float) -> dict[str, Any]:
    cells = [
        {
            "cell": {"batch_size": 1, "length": length, "threads": 2},
            "network": {"median_ms": {"value": ms * factor}},
        }
        for length, factor in ((None, 1.0), (128, 2.0))
    ]
    scores = {"metrics": {"score": {"value": score}}}
    return {
        "name": name,
        "folder": f"somewhere/{name}",
        "format": kind,
        "cells": cells,
        "scores": scores,
        "size_mb": 20.0,
        "parameters": 10_000_000,
    }


def done(root: Path, name: str, kind: Any, target: Target | None, **result: Any) -> DoneStage:
    plain = {"seconds": 61.0, "checkpoint": None, "artifact": None, "score": None, "details": {}}
    planned = PlannedStage(Stage(name, kind), {}, target)
    folder = StageFolder.of(root, 1, name, "0" * 64)
    folder.path.mkdir(parents=True, exist_ok=True)
    return DoneStage(planned, folder, StageResult(**{**plain, "history": [], **result}), "", None)


def result_of(root: Path, *artifacts: dict[str, Any], target: Target = TARGET) -> RecipeResult:
    import json

    measure = done(root, "measure", "benchmark", None)
    eager = artifact("eager", "eager", 8.0, 0.90)
    found = {"artifacts": [*artifacts, eager], "failures": ["too slow"]}
    (measure.folder.path / "benchmark.json").write_text(json.dumps(found))
    exports = []
    for a in artifacts:
        is_asked = a["name"] != "dense"
        stage_target = target if is_asked else target.without_goal
        details = {"format": a["format"]}
        exports.append(
            done(root, a["name"], "export", stage_target, artifact=a["name"], details=details)
        )
    return recipe_result("r", root, target, [*exports, measure])


def test_speedup_and_drop_are_against_the_dense_model_in_pytorch(tmp_path: Path) -> None:
    found = result_of(tmp_path, artifact("small", "onnx-int8", 1.6, 0.895))
    (small,) = found.outcomes
    assert small.speedup == pytest.approx(5.0)
    assert small.drop == pytest.approx(0.005)
    assert small.met
    assert found.dense == {"score": 0.9, "latency_ms": 8.0, "parameters": 10_000_000}


@pytest.mark.parametrize(("ms", "score"), [(2.1, 0.90), (1.0, 0.88)])
def test_too_slow_or_too_bad_is_not_met(tmp_path: Path, ms: float, score: float) -> None:
    found = result_of(tmp_path, artifact("small", "onnx-int8", ms, score))
    assert not found.outcomes[0].met
    assert "NOT met, this is the nearest" in result_text(found)


def test_the_fastest_within_the_drop_is_chosen_and_references_are_not(tmp_path: Path) -> None:
    found = result_of(
        tmp_path,
        artifact("dense", "onnx-int8", 0.1, 0.95),
        artifact("two", "onnx-int8", 2.0, 0.90),
        artifact("four", "onnx-int8", 1.5, 0.891),
        artifact("eight", "onnx-int8", 1.0, 0.80),
    )
    assert found.chosen is not None
    assert found.chosen.name == "four"
    worse = result_of(tmp_path, artifact("eight", "onnx-int8", 1.0, 0.80))
    assert worse.chosen is not None
    assert worse.chosen.name == "eight"


def test_a_size_and_a_number_of_parameters_can_be_met(tmp_path: Path) -> None:
    small = artifact("small", "onnx-int8", 100.0, 0.90)
    assert result_of(tmp_path, small, target=Target(size_mb=20.0)).outcomes[0].met
    assert not result_of(tmp_path, small, target=Target(size_mb=19.0)).outcomes[0].met
    assert result_of(tmp_path, small, target=Target(parameters=10_000_000)).outcomes[0].met
    assert not result_of(tmp_path, small, target=Target(parameters=9_999_999)).outcomes[0].met
    assert not result_of(tmp_path, small, target=Target(latency_ms=99.0)).outcomes[0].met


def test_latency_is_that_of_the_targets_cell() -> None:
    small = artifact("small", "onnx-int8", 1.5, 0.9)
    assert latency_of(small, Target(length=128)) == 3.0
    assert latency_of(small, Target()) == 1.5
    assert latency_of(small, Target(threads=1)) is None
    assert latency_of(small, Target(length=64)) is None


def test_the_text_names_the_artifact_and_what_is_next(tmp_path: Path) -> None:
    text = result_text(result_of(tmp_path, artifact("small", "onnx-int8", 1.6, 0.895)))
    assert "dense, PyTorch float32  0.9000" in text
    assert "small (onnx-int8)       0.8950  +0.0050  1.60           5.00  20.0" in text
    assert f"next: glint predict --artifact {tmp_path}/artifacts/small" in text
    assert "note: too slow" in text
    assert "met: small: speedup 4 at batch 1, the task's lengths, at most 0.01 lost" in text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (61, "1:01"), (3600, "1:00:00")])
def test_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
