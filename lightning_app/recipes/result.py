"""What a recipe achieved: `compress.json`, and the table at its end."""

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning_app.commands.whole_file import write_whole
from lightning_app.recipes.engine import DoneStage
from lightning_app.recipes.stage import Target
from lightning_app.recipes.stage_commands import BENCHMARK

FILE = "compress.json"
VERSION = 1
ARTIFACTS = "artifacts"
EAGER = "eager"


@dataclass(frozen=True)
class Outcome:
    """One artifact, measured.

    Args:
        name: Of its export.
        artifact: Folder, relative to the recipe's.
        format: Of `glint export`.
        wanted: The target's goal, by name; empty where it is no answer to it.
        speedup: Against the dense model in plain PyTorch, at the target's batch size and length.
        latency_ms: There; None where it was not measured.
        size_mb: Of all its files.
        parameters: Of the network.
        score: On the validation set; None without labels.
        drop: Of the dense model's score; positive where something was lost.
        met: Whether what was asked for is reached.
    """

    name: str
    artifact: str
    format: str
    wanted: Mapping[str, float]
    speedup: float | None
    latency_ms: float | None
    size_mb: float | None
    parameters: int | None
    score: float | None
    drop: float | None
    met: bool


@dataclass(frozen=True)
class RecipeResult:
    """Of `glint compress`.

    Args:
        name: Of the recipe.
        root: Its folder.
        target: As in the recipe.
        done: The stages.
        outcomes: A line an artifact.
        dense: ``score``, ``latency_ms`` and ``parameters`` of the dense model in plain PyTorch.
        failures: Sentences of the benchmark.
    """

    name: str
    root: Path
    target: Target | None
    done: Sequence[DoneStage]
    outcomes: Sequence[Outcome]
    dense: Mapping[str, Any]
    failures: Sequence[str]

    def as_plain(self) -> dict[str, Any]:
        """For `compress.json`."""
        benchmark = _benchmark_file(self.done)
        return {
            "compress_version": VERSION,
            "name": self.name,
            "target": None if self.target is None else asdict(self.target),
            "stages": [_stage(stage, self.root) for stage in self.done],
            "results": [_plain(outcome) for outcome in self.outcomes],
            "chosen": None if self.chosen is None else self.chosen.name,
            "dense": dict(self.dense),
            "benchmark": None if benchmark is None else str(benchmark.relative_to(self.root)),
            "failures": list(self.failures),
            "commands": [stage.command for stage in self.done],
        }

    @property
    def chosen(self) -> Outcome | None:
        """The fastest that has lost no more than allowed; if none has, the one that lost least."""
        asked = [o for o in self.outcomes if o.wanted] or list(self.outcomes)
        within = [o for o in asked if self._is_within(o)]
        if within:
            return max(within, key=lambda o: o.speedup or 0.0)
        return min(asked, key=lambda o: o.drop or 0.0, default=None)

    def _is_within(self, outcome: Outcome) -> bool:
        allowed = (self.target or Target()).max_drop
        return outcome.drop is None or outcome.drop <= allowed + 1e-9


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {**asdict(outcome), "speedup_wanted": outcome.wanted.get("speedup")}


def recipe_result(
    name: str, root: Path, target: Target | None, done: Sequence[DoneStage]
) -> RecipeResult:
    """Collect what the finished stages left."""
    benchmark = _benchmark_file(done)
    found = {} if benchmark is None else json.loads(benchmark.read_text("utf-8"))
    measured = {Path(a["folder"]).name: a for a in found.get("artifacts", ())}
    eager = next((a for a in found.get("artifacts", ()) if a["format"] == EAGER), None)
    dense = _dense(eager, target, done)
    outcomes = [
        _outcome(stage, measured.get(stage.artifact.name), dense)
        for stage in done
        if stage.artifact is not None
    ]
    return RecipeResult(name, root, target, done, outcomes, dense, found.get("failures", ()))


def write_result(result: RecipeResult) -> None:
    """`compress.json`, and the artifacts under names that last."""
    text = json.dumps(result.as_plain(), indent=1) + "\n"
    write_whole(result.root / FILE, text.encode())
    for stage in result.done:
        if stage.artifact is not None:
            _place(stage.artifact, result.root / ARTIFACTS / stage.artifact.name)


def _place(source: Path, target: Path) -> None:
    """A copy that shares its files with the source, where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source, unfinished, copy_function=_link_or_copy)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _benchmark_file(done: Sequence[DoneStage]) -> Path | None:
    files = [s.folder.path / BENCHMARK for s in done if s.planned.stage.kind == "benchmark"]
    return files[-1] if files else None


def _dense(
    eager: Mapping[str, Any] | None, target: Target | None, done: Sequence[DoneStage]
) -> dict[str, Any]:
    fit = next((stage for stage in done if stage.planned.stage.kind == "fit"), None)
    if eager is None:
        return {"score": None if fit is None else fit.result.score}
    return {
        "score": _score(eager),
        "latency_ms": latency_of(eager, target or Target()),
        "parameters": eager["parameters"],
    }


def _outcome(
    stage: DoneStage,
    measured: Mapping[str, Any] | None,
    dense: Mapping[str, Any],
) -> Outcome:
    wanted = stage.planned.target or Target()
    assert stage.artifact is not None
    latency = None if measured is None else latency_of(measured, wanted)
    speedup = None if latency is None else dense["latency_ms"] / latency
    score = None if measured is None else _score(measured)
    before = dense.get("score")
    drop = None if score is None or before is None else before - score
    return Outcome(
        name=stage.planned.name,
        artifact=f"{ARTIFACTS}/{stage.artifact.name}",
        format=stage.result.details["format"],
        wanted=wanted.goals if stage.result.details["format"] == wanted.runtime else {},
        speedup=speedup,
        latency_ms=latency,
        size_mb=None if measured is None else measured["size_mb"],
        parameters=None if measured is None else measured["parameters"],
        score=score,
        drop=drop,
        met=_is_met(wanted, speedup, latency, measured, drop),
    )


def _is_met(
    target: Target,
    speedup: float | None,
    latency: float | None,
    measured: Mapping[str, Any] | None,
    drop: float | None,
) -> bool:
    if measured is None:
        return False
    checks = {
        "speedup": speedup is not None and speedup >= target.goals.get("speedup", 0),
        "latency_ms": latency is not None and latency <= target.goals.get("latency_ms", latency),
        "size_mb": measured["size_mb"] <= target.goals.get("size_mb", measured["size_mb"]),
        "parameters": measured["parameters"] <= target.goals.get("parameters", math.inf),
    }
    reached = all(checks[name] for name in target.goals)
    return reached and (drop is None or drop <= target.max_drop + 1e-9)


def latency_of(artifact: Mapping[str, Any], target: Target) -> float | None:
    """Median of the network's call at the target's batch size and length, or None."""
    length = None if target.length == "task" else target.length
    for cell in artifact["cells"]:
        where = cell["cell"]
        is_there = where["batch_size"] == target.batch_size and where["length"] == length
        if is_there and target.threads in (None, where["threads"]):
            return float(cell["network"]["median_ms"]["value"])
    return None


def _score(artifact: Mapping[str, Any]) -> float | None:
    metrics = (artifact.get("scores") or {}).get("metrics") or {}
    return float(metrics["score"]["value"]) if "score" in metrics else None


def _stage(stage: DoneStage, root: Path) -> dict[str, Any]:
    return {
        "name": stage.planned.name,
        "kind": stage.planned.stage.kind,
        "start": stage.planned.stage.start,
        "hash": stage.folder.hash,
        "folder": str(stage.folder.path.relative_to(root)),
        "state": "finished",
        **asdict(stage.result),
    }
