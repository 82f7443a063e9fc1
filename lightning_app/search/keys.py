"""Keys of a fit's configuration, as a search names them."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lightning_app.errors import InputError
from lightning_app.recipes.composition import callback_names, composed, is_callback

CALLBACKS = "callbacks"
_DATA = ("class_path", "init_args")
_SHOWN = 3


def set_key(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The configuration with one key changed.

    Args:
        config: Of a fit, as its YAML has it.
        key: With dots: ``model.learning_rate``, ``data.train_batch_size``, ``trainer.max_epochs``,
            or ``callbacks.NAME.ARGUMENT`` for an argument of a callback.
        value: What to set it to.

    Raises:
        InputError: If no callback of the configuration has that name.
    """
    head, *rest = key.split(".")
    if head == CALLBACKS:
        return _with_callback(config, key, rest, value)
    if head == "data" and rest and rest[0] not in _DATA:
        rest = ["init_args", *rest]
    return composed([config, _nested([head, *rest], value)])


def of_options(options: Sequence[str]) -> dict[str, Any]:
    """The configuration that options of `glint fit` stand for, each with its value behind `=`."""
    import yaml  # type: ignore[import-untyped]

    layers = []
    for option in options:
        key, has_value, text = option.removeprefix("--").partition("=")
        value = yaml.safe_load(text) if has_value else True
        head, *rest = key.split(".")
        if head == "data" and rest and rest[0] not in _DATA:
            rest = ["init_args", *rest]
        layers.append(_nested([head, *rest], value))
    return composed(layers)


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """All keys with their values, in the words of :func:`set_key`."""
    found = dict(_flat({k: v for k, v in config.items() if k != "trainer"}, ""))
    trainer = dict(config.get("trainer") or {})
    for entry in trainer.pop(CALLBACKS, None) or []:
        name = str(entry.get("class_path", "")).rpartition(".")[2]
        found.update(_flat(entry.get("init_args") or {}, f"{CALLBACKS}.{name}."))
    found.update(_flat(trainer, "trainer."))
    return found


def check_known(key: str, known: Mapping[str, Any]) -> None:
    """Refuse a key that the configuration has not.

    Args:
        key: To look for; within something that is not set it is left to the parser.
        known: From :func:`flat`, of a configuration with all its defaults.

    Raises:
        InputError: It names those that are near.
    """
    parts = key.split(".")
    if key in known or any(name.startswith(f"{key}.") for name in known):
        return
    if any(known.get(".".join(parts[:n]), "") is None for n in range(1, len(parts))):
        return
    raise InputError(
        f"Expected `space` to name keys of the configuration, got {key!r};{_near(key, known)}"
    )


def _near(key: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(key, names, n=_SHOWN, cutoff=0.6)
    last = key.rpartition(".")[2]
    near += [name for name in names if name.rpartition(".")[2] == last and name not in near]
    if not near:
        return " `glint fit --print_config` lists them."
    return f" near it are {', '.join(near[:_SHOWN])}."


def _with_callback(
    config: Mapping[str, Any], key: str, rest: Sequence[str], value: Any
) -> dict[str, Any]:
    trainer = dict(config.get("trainer") or {})
    callbacks = [dict(entry) for entry in trainer.get(CALLBACKS) or []]
    chosen = [entry for entry in callbacks if len(rest) > 1 and is_callback(entry, rest[0])]
    if not chosen:
        names = callback_names(config)
        raise InputError(
            f"Expected `space.{key}` to be `callbacks.NAME.ARGUMENT` with a callback of the"
            f" configuration ({', '.join(names) or 'there is none'})."
        )
    for entry in chosen:
        entry["init_args"] = composed([entry.get("init_args") or {}, _nested(rest[1:], value)])
    return {**config, "trainer": {**trainer, CALLBACKS: callbacks}}


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def _flat(config: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in config.items():
        if name == "init_args" and isinstance(value, Mapping):
            yield from _flat(value, prefix)
        elif isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
