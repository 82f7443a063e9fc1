"""What a search is, as plain data that its workers are given."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

from lightning_app.artifact.formats import FORMATS
from lightning_app.errors import InputError
from lightning_app.search.domain import Domain
from lightning_app.search.recipe_space import is_recipe

SamplerName = Literal["grid", "random", "tpe", "gp", "nsga2"]
PrunerName = Literal["none", "median", "hyperband", "asha"]
Objective = Literal["score", "latency_ms", "size_mb", "parameters"]
Direction = Literal["maximize", "minimize"]
SAMPLERS = ("grid", "random", "tpe", "gp", "nsga2")
PRUNERS = ("none", "median", "hyperband", "asha")
OBJECTIVES = ("score", "latency_ms", "size_mb", "parameters")
EPOCHS = "trainer.max_epochs"


@dataclass(frozen=True)
class Specification:
    """A search, checked as far as it can be without its data.

    Args:
        name: Of the study.
        folder: Where its trials lie.
        config: Of a fit, or of a recipe, before anything of the space is set.
        space: By key of the configuration what it may be set to, as written.
        sampler: Who proposes.
        pruner: Who stops.
        objectives: What is wanted.
        folds: Parts of the training set.
        folds_used: How many of them are validated on.
        trials: How many; of a grid all.
        seed: Of the sampler.
        begin_with_config: Whether the first trial is the configuration as it is.
        reduction_factor: Of ``hyperband`` and ``asha``.
        margin: Of the score, for stopping a trial with several objectives.
        runtime: Of the latency and the size.
        length: Tokens of the call that is timed.
        batch_size: Its rows.
        threads: It computes with.
        heartbeat: Seconds between signs of life.
        shares_prefix: Whether one training serves all epoch counts.
    """

    name: str
    folder: str
    config: dict[str, Any]
    space: dict[str, Any]
    sampler: SamplerName
    pruner: PrunerName
    objectives: list[Objective]
    folds: int
    folds_used: int
    trials: int
    seed: int
    begin_with_config: bool
    reduction_factor: int
    margin: float
    runtime: str
    length: int
    batch_size: int
    threads: int
    heartbeat: int
    shares_prefix: bool

    def __post_init__(self) -> None:
        _check_one_of("sampler", self.sampler, SAMPLERS)
        _check_one_of("pruner", self.pruner, PRUNERS)
        _check_one_of("runtime", self.runtime, tuple(FORMATS))
        self._check_objectives()
        if self.is_of_recipes and self.pruner != "none":
            raise InputError(
                f"Expected `pruner: none` with `recipe`, got {self.pruner!r}: what a recipe comes"
                " to is known at its end alone."
            )
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise InputError(
                    f"Expected `{name}` to be at least {least:g}, got {getattr(self, name)}."
                )
        if self.folds_used > self.folds:
            raise InputError(
                f"Expected `folds_used` to be at most `folds`, got {self.folds_used} of"
                f" {self.folds}."
            )
        if not self.space:
            raise InputError(
                "Expected `space` to name at least one key of the configuration, got none."
            )

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """By key what is searched; without the epoch counts where all are trained at once.

        Raises:
            InputError: If one is not written as it should be.
        """
        domains = {key: Domain.of(key, written) for key, written in self.space.items()}
        if self.shares_prefix:
            del domains[EPOCHS]
        return domains

    @cached_property
    def epoch_counts(self) -> list[int]:
        """Those that every trial is trained to, ascending; empty where a trial has one of its own.

        Raises:
            InputError: If they cannot be counted.
        """
        if not self.shares_prefix:
            return []
        return sorted(int(e) for e in Domain.of(EPOCHS, self.space[EPOCHS]).grid())

    @property
    def is_of_recipes(self) -> bool:
        """Whether a trial is a recipe, and not a fit."""
        return is_recipe(self.config)

    @property
    def has_rungs(self) -> bool:
        """Whether trials may be stopped on the way."""
        return self.pruner != "none" or self.has_several_objectives

    @property
    def has_several_objectives(self) -> bool:
        """Whether there is a front in place of a best."""
        return len(self.objectives) > 1

    @property
    def directions(self) -> list[Direction]:
        """Of the objectives, in Optuna's words."""
        return ["maximize" if name == "score" else "minimize" for name in self.objectives]

    @property
    def margins(self) -> list[float]:
        """By objective, how far ahead another trial must be."""
        return [self.margin if name == "score" else 0.0 for name in self.objectives]

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Specification":
        """From :meth:`as_plain`."""
        return cls(**{field.name: plain[field.name] for field in fields(cls)})

    @property
    def identity(self) -> dict[str, Any]:
        """What must not differ between those that work on one study."""
        return {name: getattr(self, name) for name in _IDENTITY}

    def _check_objectives(self) -> None:
        for objective in self.objectives:
            _check_one_of("objectives", objective, OBJECTIVES)
        if "score" not in self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise InputError(
                "Expected `objectives` to be `score` and, if you like, others, each once, got"
                f" {', '.join(self.objectives) or 'none'}."
            )
        if self.has_several_objectives and self.pruner != "none":
            raise InputError(
                f"Expected `pruner: none` with several objectives, got {self.pruner!r}: a trial is"
                " stopped there when another one is ahead of it by `margin` in all of them."
            )


_IDENTITY = (
    "config", "space", "objectives", "folds", "folds_used", "shares_prefix", "runtime", "length",
    "batch_size", "threads",
)  # fmt: skip
_LEAST = {
    "folds": 2,
    "folds_used": 1,
    "trials": 1,
    "reduction_factor": 2,
    "margin": 0,
    "length": 4,
    "batch_size": 1,
    "threads": 1,
    "heartbeat": 1,
}


def _check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"Expected `{name}` to be one of {', '.join(known)}, got {value!r}.")
