"""What a search tries: configurations of a fit, or recipes."""

from collections.abc import Mapping
from typing import Any

from lightning_app.search import keys
from lightning_app.search.recipe_space import (
    checked_recipe,
    flat_recipe,
    is_recipe,
    set_recipe_key,
)


def with_value(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The configuration with one key changed."""
    change = set_recipe_key if is_recipe(config) else keys.set_key
    return change(config, key, value)


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with several keys changed."""
    changed = dict(config)
    for key, value in values.items():
        changed = with_value(changed, key, value)
    return changed


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """All keys with their values."""
    return flat_recipe(config) if is_recipe(config) else keys.flat(config)


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with all its defaults.

    Raises:
        InputError: If a key or value is refused by what takes it.
    """
    from lightning_app.search.fit_parser import fit_parser

    check = fit_parser().checked
    return checked_recipe(config, check) if is_recipe(config) else check(config)
