"""Run `glint` as a user would: as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tests.end_to_end.forked_command import run_forked

REPOSITORY = Path(__file__).parents[2]
NO_DROPOUT = ("--model.hidden_dropout=0.0", "--model.attention_dropout=0.0")
"""Each process draws its own."""


def glint(
    *arguments: str,
    cwd: Path | None = None,
    expect: int | None = 0,
    own_imports: bool = False,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m lightning_app ARGUMENTS` with one thread, and check the exit code.

    Args:
        arguments: Of the command.
        cwd: Working directory; by default the repository.
        expect: Exit code; None for any.
        own_imports: In an interpreter of its own, as where the process starts is what is tested;
            otherwise in a fork of one that has imported everything.
        environment: Variables to add; imports may read them, so this means ``own_imports``.
    """
    folder = cwd or REPOSITORY
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    if environment or own_imports or not hasattr(os, "fork"):
        result = subprocess.run(
            [sys.executable, "-m", "lightning_app", *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
    else:
        result = run_forked(arguments, folder, variables)
    if expect is not None:
        assert result.returncode == expect, result.stderr[-4000:]
    return result


def tiny_fit(model: str | Path, root: Path, *more: str) -> list[str]:
    """Arguments of a fit that takes seconds: 3 epochs of 10 steps on the embedded mrpc."""
    options = {
        "config": REPOSITORY / "configs/demo.yaml",
        "model.model_name_or_path": model,
        "data.max_train_rows": 160,
        "trainer.max_epochs": 3,
        "trainer.log_every_n_steps": 1,
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        "trainer.default_root_dir": root,
        "trainer.accelerator": "cpu",
        "trainer.precision": "32-true",  # not what the machine at hand is fastest with
    }
    return ["fit", *(f"--{name}={value}" for name, value in options.items()), *more]


def run_folder(root: Path, name: str = "demo", version: int = 0) -> Path:
    """Folder of a run."""
    return root / name / f"version_{version}"


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Paths at which two nested values are not equal to the last bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted(set(a) | set(b), key=str)
        return [d for key in keys for d in differences(a.get(key), b.get(key), f"{path}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for i, pair in enumerate(zip(a, b, strict=True)) for d in _indexed(pair, path, i)]
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return [] if torch.equal(a, b) else [path]
    return [] if a == b else [path]


def _indexed(pair: Sequence[Any], path: str, index: int) -> list[str]:
    return differences(pair[0], pair[1], f"{path}/{index}")


def logged_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar in TensorBoard's files of a run, by tag; timings and memory left out."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    timed = ("throughput/", "memory/")
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in tags
        if not tag.startswith(timed) or tag.endswith("padding_share")
    }
