"""The command lines of a stage, which anyone can run by hand, and what they leave."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError
from lightning_app.recipes.recipe import PlannedStage
from lightning_app.recipes.stage import Target
from lightning_app.recipes.stage_folder import StageResult

CONFIG = "config.yaml"
FIT = "fit"
RUN = Path(FIT) / "version_0"
BEST = RUN / "checkpoints/best.ckpt"
SHRUNK, QUANTIZED, BENCHMARK = "shrunk.ckpt", "quantized.ckpt", "benchmark.json"
ROWS = "validation.jsonl"
LABEL_SEPARATOR = "|"
"""Between the labels of a row in the file of validation rows; no label's name has it in GLUE."""


@dataclass(frozen=True)
class Earlier:
    """What a stage builds on.

    Args:
        checkpoint: That it begins from; None for the first fit.
        run_config: `config.yaml` of the fit that this checkpoint comes from.
        teacher: Checkpoint of the teacher.
        dense: Checkpoint of the recipe's first fit, which speedups are relative to.
        artifacts: Folders of all exports so far.
        options: For every fit, from the command line.
    """

    checkpoint: Path | None = None
    run_config: Path | None = None
    teacher: Path | None = None
    dense: Path | None = None
    artifacts: Sequence[Path] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True)
class StageCommand:
    """How a kind of stage is run.

    Args:
        arguments: Of `glint`, from the stage, its folder and what it builds on.
        result: What it left in the folder; the seconds are filled in later.
        goes_on: Whether what a killed try left is gone on with.
        codes: Exit codes that are no failure.
    """

    arguments: Callable[[PlannedStage, Path, Earlier], list[str]]
    result: Callable[[PlannedStage, Path], StageResult]
    goes_on: bool = False
    codes: tuple[int, ...] = (0,)


def _fit(planned: PlannedStage, folder: Path, earlier: Earlier) -> list[str]:
    start = earlier.checkpoint
    return [
        "fit",
        f"--config={folder / CONFIG}",
        *earlier.options,
        *([] if start is None else [f"--model.model_name_or_path={start}"]),
        f"--trainer.default_root_dir={folder}",
        f"--name={FIT}",
        "--ckpt_path=last",
    ]


def _shrink(planned: PlannedStage, folder: Path, earlier: Earlier) -> list[str]:
    target = planned.target
    assert target is not None
    options: dict[str, Any] = {
        **target.goals,
        "runtime": target.runtime,
        "batch_size": target.batch_size,
        "length": target.length,
        "threads": target.threads,
        "reference": earlier.dense,
        "output": folder / SHRUNK,
        "overwrite": "true",
        **planned.stage.options,
    }
    return ["shrink", *_on_checkpoint(earlier), *_named("shrink", options)]


def _quantize(planned: PlannedStage, folder: Path, earlier: Earlier) -> list[str]:
    options = {"output": folder / QUANTIZED, "overwrite": "true", **planned.stage.options}
    return ["quantize", *_on_checkpoint(earlier), *_named("quantize", options)]


def _export(planned: PlannedStage, folder: Path, earlier: Earlier) -> list[str]:
    options = {"format": export_format(planned), **planned.stage.options}
    return [
        "export",
        f"--ckpt_path={earlier.checkpoint}",
        f"--output={folder / planned.name}",
        "--overwrite",
        *_flags(options),
    ]


def _benchmark(planned: PlannedStage, folder: Path, earlier: Earlier) -> list[str]:
    target = planned.target or Target()
    given = dict(planned.stage.options)
    length = given.pop("length", target.length)
    batch_size = given.pop("batch_size", target.batch_size)
    threads = given.pop("threads", target.threads)
    return [
        "benchmark",
        *map(str, earlier.artifacts),
        f"--data={folder / ROWS}",
        f"--label_separator={LABEL_SEPARATOR}",
        *("--length", *map(str, _listed(length))),
        *("--batch_size", *map(str, _listed(batch_size))),
        *([] if threads is None else ["--threads", *map(str, _listed(threads))]),
        *("--baseline", "eager"),
        f"--ckpt_path={earlier.dense}",
        f"--output={folder / BENCHMARK}",
        *_flags(given),
    ]


def export_format(planned: PlannedStage) -> str:
    """What an export writes: what it says, or else the target's runtime."""
    said = planned.stage.options.get("format")
    return str(said or (planned.target or Target()).runtime)


def _on_checkpoint(earlier: Earlier) -> list[str]:
    return [f"--config={earlier.run_config}", f"--ckpt_path={earlier.checkpoint}"]


def _named(group: str, options: Mapping[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value is not None}
    return [f"--{group}.{name}={_plain(value)}" for name, value in given.items()]


def _flags(options: Mapping[str, Any]) -> list[str]:
    """Of the commands whose switches take no value: ``--measure`` or ``--no_measure``."""
    return [
        f"--{'' if value else 'no_'}{name}" if isinstance(value, bool) else f"--{name}={value}"
        for name, value in options.items()
    ]


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a number of parameters is no fraction
    return json.dumps(value) if isinstance(value, list | dict | bool) else str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _of_fit(planned: PlannedStage, folder: Path) -> StageResult:
    run = folder / RUN
    if not (folder / BEST).is_file():
        raise InputError(
            f"Expected stage {planned.name!r} to end with a best.ckpt, but no validation came after"
            " its compression was complete; let its schedule end earlier, or train longer."
        )
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    details = {name: metrics[name] for name in ("steps", "parameters", "nonzero_share", "seconds")}
    score = (metrics["best"] or {}).get("val/score")
    return StageResult(0.0, str(BEST), None, score, details, metrics["history"])


def _of_shrink(planned: PlannedStage, folder: Path) -> StageResult:
    details = json.loads((folder / SHRUNK).with_suffix(".json").read_text("utf-8"))
    return StageResult(0.0, SHRUNK, None, None, details, [])


def _of_quantize(planned: PlannedStage, folder: Path) -> StageResult:
    table = json.loads((folder / QUANTIZED).with_suffix(".json").read_text("utf-8"))
    return StageResult(0.0, QUANTIZED, None, table["after"]["score"], {}, [])


def _of_export(planned: PlannedStage, folder: Path) -> StageResult:
    return StageResult(0.0, None, planned.name, None, {"format": export_format(planned)}, [])


def _of_benchmark(planned: PlannedStage, folder: Path) -> StageResult:
    found = json.loads((folder / BENCHMARK).read_text("utf-8"))
    return StageResult(0.0, None, None, None, {"failures": found["failures"]}, [])


COMMANDS = {
    "fit": StageCommand(_fit, _of_fit, goes_on=True),
    "shrink": StageCommand(_shrink, _of_shrink),
    "quantize": StageCommand(_quantize, _of_quantize),
    "export": StageCommand(_export, _of_export),
    # 1 says that something is slower than it should be: that is a result, and is shown.
    "benchmark": StageCommand(_benchmark, _of_benchmark, codes=(0, 1)),
}
