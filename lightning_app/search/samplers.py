"""Optuna's samplers and pruners by our names."""

import warnings
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError
from lightning_app.search.specification import Specification

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

_MANY = 1000
"""Between the seeds of two searches: a trial's sampler has one of its own."""
_FIRST_TRIALS = {"tpe": 5, "gp": 5}


def sampler_of(specification: Specification, trial: int) -> "BaseSampler":
    """Who proposes the values of one trial; a grid's are in the study from the start.

    It has a seed of its own, so that neither workers nor a search that goes on draw the same again.

    Args:
        specification: Of the search.
        trial: Number of the trial.

    Raises:
        InputError: If it needs a package that is not installed.
    """
    import optuna
    from optuna.exceptions import ExperimentalWarning

    from lightning_app.optional_packages import require

    seed = specification.seed * _MANY + trial
    name = specification.sampler
    samplers: Any = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "tpe":
            first = _FIRST_TRIALS[name]
            return samplers.TPESampler(  # type: ignore[no-any-return]
                seed=seed, n_startup_trials=first, multivariate=True, constant_liar=True
            )
        if name == "gp":
            require(["scipy"], "search", "`sampler: gp`")
            return samplers.GPSampler(seed=seed, n_startup_trials=_FIRST_TRIALS[name])  # type: ignore[no-any-return]
        if name == "nsga2":
            size = max(4, min(20, specification.trials // 4))
            return samplers.NSGAIISampler(seed=seed, population_size=size)  # type: ignore[no-any-return]
        return samplers.RandomSampler(seed=seed)  # type: ignore[no-any-return]


def pruner_of(specification: Specification, rungs: list[int]) -> "BasePruner":
    """Who stops a trial.

    Args:
        specification: Of the search.
        rungs: Epochs after which a trial of the longest training may be stopped, ascending.
    """
    import optuna
    from optuna.exceptions import ExperimentalWarning

    pruners: Any = optuna.pruners
    first, last = rungs[0], rungs[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if specification.pruner == "median":
            return pruners.MedianPruner(n_startup_trials=3)  # type: ignore[no-any-return]
        if specification.pruner == "asha":
            return pruners.SuccessiveHalvingPruner(  # type: ignore[no-any-return]
                min_resource=first, reduction_factor=specification.reduction_factor
            )
        if specification.pruner == "hyperband":
            return pruners.HyperbandPruner(  # type: ignore[no-any-return]
                min_resource=first,
                max_resource=last,
                reduction_factor=specification.reduction_factor,
            )
        return pruners.NopPruner()  # type: ignore[no-any-return]


def longest_rungs(specification: Specification, full_config: dict[str, Any]) -> list[int]:
    """Epochs after which a trial of the longest training may be stopped.

    Args:
        specification: Of the search.
        full_config: Of a fit, with its defaults.

    Raises:
        InputError: If trials are to be stopped, but a fit has no number of epochs.
    """
    from lightning_app.search.specification import EPOCHS

    if specification.is_of_recipes:
        return [1]
    if specification.shares_prefix:
        return specification.epoch_counts
    if EPOCHS in specification.domains:
        longest: Any = max(specification.domains[EPOCHS].samples())
    else:
        longest = (full_config.get("trainer") or {}).get("max_epochs")
    if not isinstance(longest, int) or longest < 1:
        raise InputError(
            f"Expected `{EPOCHS}` of the configuration to be at least 1 for a search, got"
            f" {longest!r}."
        )
    return list(range(1, longest + 1)) if specification.has_rungs else [longest]
