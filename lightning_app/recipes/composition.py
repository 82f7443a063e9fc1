"""Configurations of a fit, one laid over the other as LightningCLI does with several `--config`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError

APPEND = "+"


def read_yaml(file: str) -> dict[str, Any]:
    """A YAML file of a mapping.

    Raises:
        InputError: If it cannot be read or is none.
    """
    import yaml  # type: ignore[import-untyped]

    try:
        found = yaml.safe_load(Path(file).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Expected a YAML file, got {file!r}: {reason}") from error
    if not isinstance(found, dict):
        raise InputError(f"Expected {file!r} to be a mapping, got {type(found).__name__}.")
    return found


def composed(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One configuration of several.

    Mappings are merged key by key, other values replaced; a list under a key that ends in ``+`` is
    appended. A callback's ``init_args`` are its own: a list of callbacks is replaced as a whole.

    Args:
        layers: The later ones win.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _over(merged, layer)
    return merged


def with_teacher(config: Mapping[str, Any], checkpoint: str, stage: str) -> dict[str, Any]:
    """The configuration with the teacher of its `callbacks.Distillation` named.

    Args:
        config: Of a fit.
        checkpoint: The teacher's.
        stage: Whose configuration it is, for the message.

    Raises:
        InputError: If no callback of it is a `Distillation`.
    """
    trainer = dict(config.get("trainer") or {})
    callbacks = [dict(callback) for callback in trainer.get("callbacks") or []]
    taught = [c for c in callbacks if is_callback(c, "Distillation")]
    if not taught:
        raise InputError(
            f"Expected `callbacks.Distillation` in stage {stage!r}, which has a `teacher`, got"
            " none; add `configs/callbacks/distillation.yaml` to its `config`."
        )
    for callback in taught:
        callback["init_args"] = {**(callback.get("init_args") or {}), "teacher": checkpoint}
    return {**config, "trainer": {**trainer, "callbacks": callbacks}}


def callback_names(config: Mapping[str, Any]) -> list[str]:
    """Class names of the callbacks, without their module."""
    callbacks = (config.get("trainer") or {}).get("callbacks") or []
    return [str(c.get("class_path", "")).rpartition(".")[2] for c in callbacks]


def is_callback(entry: Mapping[str, Any], name: str) -> bool:
    """Whether an entry of ``trainer.callbacks`` is of this class."""
    return str(entry.get("class_path", "")).rpartition(".")[2] == name


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        name = key.removesuffix(APPEND)
        before = merged.get(name)
        if key != name:
            merged[name] = [*(before or []), *_listed(value)]
        elif isinstance(value, Mapping):
            merged[name] = _over(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
