"""What a stage's result follows from, as a hash."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_app import __version__
from lightning_app.cache_key import cache_key
from lightning_app.recipes.recipe import PlannedStage

_MAX_READ = 64 * 2**20
"""Bytes up to which a file is known by its contents; larger ones by size and time."""
_MAX_FILES = 1000


def stage_hash(planned: PlannedStage, earlier: Mapping[str, str], options: Sequence[str]) -> str:
    """Of everything that decides what a stage gives, in hexadecimal.

    Args:
        planned: The stage.
        earlier: Hashes of earlier stages by name.
        options: Of every fit, from the command line.
    """
    stage, target = planned.stage, planned.target
    options = options if stage.kind == "fit" else ()
    parts = {
        "version": __version__,
        "kind": stage.kind,
        "config": planned.config,
        "options": {} if stage.kind == "fit" else stage.options,
        "start": None if stage.start is None else earlier[stage.start],
        "teacher": None if stage.teacher is None else earlier[stage.teacher],
        "target": _of_target(planned) if target is not None else None,
        "others": sorted(earlier.values()) if stage.kind == "benchmark" else None,
        "command_line": list(options),
        "files": files_within([planned.config, *options]),
    }
    return cache_key(parts)


def files_within(value: Any) -> dict[str, str]:
    """What is in each file or folder that a configuration names, as a hash by its path.

    Args:
        value: Mappings, lists and strings, also options with their value behind `=`.
    """
    return {path: _fingerprint(Path(path)) for path in sorted(_paths(value))}


def _of_target(planned: PlannedStage) -> dict[str, Any] | None:
    target = planned.target
    assert target is not None
    if planned.stage.kind not in ("shrink", "benchmark", "export"):
        return None
    timed = {
        "runtime": target.runtime,
        "batch_size": target.batch_size,
        "length": target.length,
        "threads": target.threads,
    }
    return {**timed, **(target.goals if planned.stage.kind == "shrink" else {})}


def _paths(value: Any) -> Iterator[str]:
    """Every file or folder that a configuration names."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part)
    elif isinstance(value, str) and value:
        place = value.partition("=")[2] if value.startswith("--") else value
        if place and len(place) < 4096 and Path(place).exists():
            yield place


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files[:_MAX_FILES]:
        about = file.stat()
        digest.update(f"{file.relative_to(path)}:{about.st_size}".encode())
        if about.st_size <= _MAX_READ and not path.is_dir():
            digest.update(file.read_bytes())
        else:
            digest.update(str(about.st_mtime_ns).encode())
    return digest.hexdigest()
