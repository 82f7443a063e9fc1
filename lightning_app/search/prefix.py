"""Whether one training serves all epoch counts of a search."""

from collections.abc import Iterable, Mapping
from typing import Any

from lightning_app.recipes.composition import callback_names, is_callback

SCHEDULE = "LearningRateSchedule"
_TRAPEZOIDAL = "trapezoidal"


def why_not_shared(config: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """Why the first epochs of a fit depend on how many there are; None if they do not.

    Args:
        config: Of a fit.
        keys: Of the space.

    Returns:
        A reason that fits behind "as".
    """
    others = sorted(set(callback_names(config)) - {SCHEDULE})
    if others:
        return f"`{others[0]}` may depend on the length of the run"
    arguments = schedule_arguments(config)
    if arguments.get("shape") != _TRAPEZOIDAL:
        return (
            f"the learning rate falls from the start; set `shape: {_TRAPEZOIDAL}` of `{SCHEDULE}`"
        )
    if arguments.get("warmup_fraction"):
        return "the warm-up is a fraction of the run; set `warmup_epochs` in its place"
    decay = decay_epochs(config)
    if decay != int(decay) or decay < 1:
        return f"`decay_epochs` of `{SCHEDULE}` is no whole number above 0, but {decay:g}"
    within = [key for key in keys if key.startswith(f"callbacks.{SCHEDULE}.")]
    if within:
        return f"`{within[0]}` is in the space"
    return None


def decay_epochs(config: Mapping[str, Any]) -> float:
    """Of the schedule."""
    return float(schedule_arguments(config).get("decay_epochs", 1.0))


def schedule_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of the learning rate schedule; empty where there is none."""
    for entry in (config.get("trainer") or {}).get("callbacks") or []:
        if is_callback(entry, SCHEDULE):
            return dict(entry.get("init_args") or {})
    return {}
