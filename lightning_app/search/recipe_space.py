"""A recipe as what a search tries: its stages in full, and the keys that name what is in them."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from lightning_app.errors import InputError
from lightning_app.recipes.composition import callback_names, composed, read_yaml
from lightning_app.recipes.recipe import Recipe
from lightning_app.recipes.stage import Stage, Target
from lightning_app.search import keys

STAGES, TARGET, TARGETS = "stages", "target", "targets"
_FIT = "fit"
_OF_A_RECIPE = ("base", "options", STAGES, TARGET, TARGETS)
_LEFT_TO_THE_SEARCH = ("name", "root", "estimate")
_NEEDED = ("export", "benchmark")


def is_recipe(config: Mapping[str, Any]) -> bool:
    """Whether it is a recipe's configuration, and not a fit's."""
    return STAGES in config


def recipe_config(file: str, over: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The recipe of a file, with the whole configuration of each fit in its `options`.

    Args:
        file: As `glint compress --config` takes it.
        over: Configurations that are laid over every fit.

    Raises:
        InputError: If it cannot be read, cannot work, or ends with nothing that is measured.
    """
    written = read_yaml(file)
    unknown = sorted(set(written) - {*_OF_A_RECIPE, *_LEFT_TO_THE_SEARCH})
    if unknown:
        raise InputError(f"Expected a recipe in {file!r} without {unknown[0]!r} for a search.")
    below = [*map(read_yaml, written.get("base") or []), written.get("options") or {}]
    stages = [_in_full(stage, below, over) for stage in written.get(STAGES) or []]
    found = {name: written[name] for name in (TARGET, TARGETS) if written.get(name) is not None}
    config = {STAGES: stages, **found}
    check_recipe(config)
    return config


def check_recipe(config: Mapping[str, Any]) -> None:
    """Refuse what `glint compress` would.

    Raises:
        InputError: If it cannot work, or ends with nothing that is measured.
    """
    unknown = sorted(set(config.get(TARGET) or {}) - {field.name for field in fields(Target)})
    if unknown:
        raise InputError(f"Expected `{TARGET}` without {unknown[0]!r}, which no target has.")
    target = Target(**config[TARGET]) if TARGET in config else None
    stages = [Stage(**stage) for stage in config[STAGES]]
    Recipe("search", [], stages, {}, target, config.get(TARGETS)).planned()
    kinds = {str(stage.kind) for stage in stages}
    missing = [kind for kind in _NEEDED if kind not in kinds]
    if missing:
        raise InputError(
            f"Expected a recipe with a stage of kind `{missing[0]}` for a search, which compares"
            " what was measured on artifacts, got none; add one."
        )


def checked_recipe(
    config: Mapping[str, Any], checked_fit: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The recipe with all defaults.

    Args:
        config: Of :func:`recipe_config`.
        checked_fit: Checks the configuration of a fit, and fills it up.

    Raises:
        InputError: If it cannot work, or a key or value of a fit is refused.
    """
    check_recipe(config)
    stages = []
    for stage in config[STAGES]:
        given = stage.get("options") or {}
        full = checked_fit(given) if stage["kind"] == _FIT else _command_options(stage, given)
        stages.append({**stage, "options": full})
    target = {TARGET: asdict(Target(**config[TARGET]))} if TARGET in config else {}
    return {**config, **target, STAGES: stages}


def flat_recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """All keys with their values, in the words of :func:`set_recipe_key`."""
    fits = [keys.flat(s["options"]) for s in config[STAGES] if s["kind"] == _FIT]
    # What no two fits have in different ways.
    found = {
        key: value
        for fit in fits
        for key, value in fit.items()
        if all(other.get(key, value) == value for other in fits)
    }
    for stage in config[STAGES]:
        options = stage.get("options") or {}
        of_stage = keys.flat(options) if stage["kind"] == _FIT else options
        found.update({f"{STAGES}.{stage['name']}.{key}": v for key, v in of_stage.items()})
    found.update({f"{TARGET}.{key}": v for key, v in (config.get(TARGET) or {}).items()})
    return {**found, TARGETS: config.get(TARGETS)}


def set_recipe_key(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The recipe with one key changed.

    Args:
        config: Of :func:`recipe_config`.
        key: ``stages.NAME.KEY`` for one stage, with the words of :func:`keys.set_key` if it is a
            fit, ``target.speedup`` and the like, ``targets``, or a key of a fit for all of them.
        value: What to set it to.

    Raises:
        InputError: If there is no such stage, or no fit has such a callback.
    """
    head, _, rest = key.partition(".")
    if key == TARGETS:
        return {**config, TARGETS: value}
    if head == TARGET:
        return {**config, TARGET: {**(config.get(TARGET) or {}), rest: value}}
    if head == STAGES:
        name, _, rest = rest.partition(".")
        return _with_stages(config, key, rest, value, lambda stage: stage["name"] == name)
    return _with_stages(config, key, key, value, lambda stage: _takes(stage, key))


def depends_on(config: Mapping[str, Any], names: Sequence[str]) -> set[str]:
    """Names of the stages, without `@` and target, whose result keys of the space may change.

    Args:
        config: Of :func:`recipe_config`.
        names: The keys.
    """
    found: set[str] = set()
    last: str | None = None
    for stage in config[STAGES]:
        name, kind = stage["name"], stage["kind"]
        builds_on = {stage.get("start") or last, stage.get("teacher")}
        if builds_on & found or kind == "benchmark" or any(_is_of(stage, key) for key in names):
            found.add(name)
        if Stage(**stage).has_checkpoint:
            last = name
    return found


def _is_of(stage: Mapping[str, Any], key: str) -> bool:
    head, _, rest = key.partition(".")
    if head in (TARGET, TARGETS):
        return stage["kind"] in ("shrink", "export")
    if head == STAGES:
        return rest.partition(".")[0] == str(stage["name"])
    return str(stage["kind"]) == _FIT


def _in_full(
    stage: Mapping[str, Any], below: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    if stage.get("kind") != _FIT:
        return dict(stage)
    layers = [*below, *map(read_yaml, stage.get("config") or []), stage.get("options") or {}, *over]
    options = {key: value for key, value in composed(layers).items() if key != "name"}
    return {**{k: v for k, v in stage.items() if k != "config"}, "options": options}


def _takes(stage: Mapping[str, Any], key: str) -> bool:
    """Whether a key of all fits is one of this stage: callbacks are of those that have them."""
    if stage["kind"] != _FIT:
        return False
    head, *rest = key.split(".")
    names = callback_names(stage["options"])
    return head != keys.CALLBACKS or (bool(rest) and rest[0] in names)


def _with_stages(
    config: Mapping[str, Any],
    key: str,
    rest: str,
    value: Any,
    is_meant: Callable[[Mapping[str, Any]], bool],
) -> dict[str, Any]:
    if not rest or not any(map(is_meant, config[STAGES])):
        names = ", ".join(stage["name"] for stage in config[STAGES])
        raise InputError(
            f"Expected `space.{key}` to be a key of a fit of the recipe, or `stages.NAME.KEY` with"
            f" one of its stages ({names})."
        )

    def changed(stage: Mapping[str, Any]) -> dict[str, Any]:
        options = stage.get("options") or {}
        is_fit = stage["kind"] == _FIT
        return {
            **stage,
            "options": keys.set_key(options, rest, value) if is_fit else {**options, rest: value},
        }

    stages = [changed(stage) if is_meant(stage) else dict(stage) for stage in config[STAGES]]
    return {**config, STAGES: stages}


def _command_options(stage: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Of a stage that is no fit: all that its command takes."""
    known = dict(_parameters(stage["kind"]))
    for name in given:
        keys.check_known(name, known)
    return {**known, **given}


def _parameters(kind: str) -> Iterator[tuple[str, Any]]:
    from lightning_app.commands.benchmark import Benchmark
    from lightning_app.commands.export import Export
    from lightning_app.commands.quantize import Quantize
    from lightning_app.commands.shrink import Shrink

    commands: dict[str, Any] = {
        "shrink": Shrink,
        "quantize": Quantize,
        "export": Export,
        "benchmark": Benchmark,
    }
    for name, parameter in inspect.signature(commands[kind].__init__).parameters.items():
        if name != "self":
            has_default = parameter.default is not inspect.Parameter.empty
            yield name, parameter.default if has_default else None
