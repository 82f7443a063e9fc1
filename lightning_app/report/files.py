"""JSON and YAML files that may be missing, half-written or anybody's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError


def read_json(file: Path) -> dict[str, Any]:
    """A JSON file of a mapping.

    Raises:
        InputError: If it cannot be read or is none.
    """
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Expected a JSON file, got {str(file)!r}: {reason}.") from error
    if not isinstance(found, dict):
        raise InputError(f"Expected {str(file)!r} to be a mapping, got {type(found).__name__}.")
    return found


def json_or_empty(file: Path) -> dict[str, Any]:
    """The same, or nothing where there is no such file."""
    return read_json(file) if file.is_file() else {}


def yaml_or_empty(file: Path) -> dict[str, Any]:
    """A YAML file of a mapping, or nothing where it cannot be read."""
    import yaml  # type: ignore[import-untyped]

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return dict(value) if isinstance(value, Mapping) else {}
