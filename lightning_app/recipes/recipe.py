"""A recipe: its stages in full, with what each fit is configured to be."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lightning_app.errors import InputError
from lightning_app.recipes.composition import composed, read_yaml
from lightning_app.recipes.order import Step, check_order
from lightning_app.recipes.stage import Stage, Target


@dataclass(frozen=True)
class PlannedStage:
    """A stage that is ready to be run.

    Args:
        stage: With its start named.
        config: Of a fit, composed, but for the checkpoints of earlier stages.
        target: That it works towards, without its goal where no structure is chosen for it; None
            where none is given.
    """

    stage: Stage
    config: dict[str, Any]
    target: Target | None = None

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.stage.name


@dataclass(frozen=True)
class Recipe:
    """What `glint compress` is told.

    Args:
        name: Of the recipe, and of its folder.
        base: YAML files of the task, as `glint fit --config` takes them.
        stages: In their order.
        options: Further configuration of every fit.
        target: What the artifact is to achieve.
        targets: Speedups, ascending, in place of the one of ``target``: an artifact for each.

    Raises:
        InputError: If it contradicts itself; nothing has been computed then.
    """

    name: str
    base: list[str]
    stages: list[Stage]
    options: dict[str, Any] = field(default_factory=dict)
    target: Target | None = None
    targets: list[float] | None = None

    def __post_init__(self) -> None:
        _check_names(self.stages)
        _check_targets(self.targets, self.target)
        self._check_has_goal()

    def planned(self) -> list[PlannedStage]:
        """All stages, those of each target one behind the other.

        Raises:
            InputError: If a file cannot be read or the order cannot work.
        """
        base = [*map(read_yaml, self.base), self.options]
        found = []
        for stage, target in _for_each_target(self.stages, self.target, self.targets):
            config = _config(base, stage) if stage.kind == "fit" else {}
            found.append(PlannedStage(stage, config, target))
        check_order([Step(planned.stage, planned.config) for planned in found])
        return found

    def _check_has_goal(self) -> None:
        shrinks = [stage.name for stage in self.stages if stage.kind == "shrink"]
        has_goal = self.targets is not None or (self.target is not None and self.target.goals)
        if shrinks and not has_goal:
            raise InputError(
                f"Expected a `target` for stage {shrinks[0]!r} of kind `shrink`, got none; set, for"
                " example, `target: {speedup: 4.0}`."
            )
        if has_goal and not shrinks:
            raise InputError(
                "Expected a stage of kind `shrink`, which chooses the structure that meets the"
                " `target`, got none; add one behind the first fit, or leave the target out."
            )


def _config(base: Sequence[dict[str, Any]], stage: Stage) -> dict[str, Any]:
    config = composed([*base, *map(read_yaml, stage.config), stage.options])
    if "seeds" in config:
        raise InputError(
            f"Expected `seeds` of the whole recipe, got it in the configuration of stage"
            f" {stage.name!r}; `glint compress --seeds {config['seeds']}` runs all stages with each"
            " seed, and compares seed by seed."
        )
    return config


def _for_each_target(
    stages: Sequence[Stage], target: Target | None, targets: Sequence[float] | None
) -> list[tuple[Stage, Target | None]]:
    """Stages with their starts named; from the first `shrink` on once for each target."""
    named = _with_starts(stages)
    plain = target and target.without_goal
    if targets is None:
        shrunk = _shrunk(named)
        return [(stage, target if stage.name in shrunk else plain) for stage in named]
    first = next(place for place, stage in enumerate(named) if stage.kind == "shrink")
    last = [stage for stage in named if stage.kind == "benchmark"]
    group = [stage for stage in named[first:] if stage.kind != "benchmark"]
    found: list[tuple[Stage, Target | None]] = [(stage, plain) for stage in named[:first]]
    start = group[0].start
    for speedup in targets:
        wanted = (target or Target()).with_speedup(speedup)
        of_target = _renamed(group, f"@{speedup:g}x", start)
        found += [(stage, wanted) for stage in of_target]
        start = _recovered(of_target)
    return [*found, *((stage, plain) for stage in last)]


def _shrunk(stages: Sequence[Stage]) -> set[str]:
    """Names of the stages whose model has a structure that was chosen for the target."""
    found: set[str] = set()
    for stage in stages:
        if stage.kind == "shrink" or stage.start in found:
            found.add(stage.name)
    return found


def _with_starts(stages: Sequence[Stage]) -> list[Stage]:
    found: list[Stage] = []
    last: str | None = None
    for stage in stages:
        known = [s.name for s in found if s.has_checkpoint]
        for kind, other in (("start", stage.start), ("teacher", stage.teacher)):
            if other is not None and other not in known:
                raise InputError(
                    f"Expected `{kind}` of stage {stage.name!r} to be an earlier stage with a"
                    f" checkpoint ({', '.join(known) or 'there is none'}), got {other!r}."
                )
        # A benchmark is of all exports, on the rows that the dense model was validated on.
        default = next(iter(known), None) if stage.kind == "benchmark" else last
        found.append(replace(stage, start=stage.start or default))
        last = stage.name if stage.has_checkpoint else last
    return found


def _renamed(group: Sequence[Stage], suffix: str, start: str | None) -> list[Stage]:
    own = {stage.name for stage in group}

    def rename(name: str | None) -> str | None:
        return f"{name}{suffix}" if name in own else name

    renamed = [
        replace(s, name=f"{s.name}{suffix}", start=rename(s.start), teacher=rename(s.teacher))
        for s in group
    ]
    return [replace(renamed[0], start=start), *renamed[1:]]


def _recovered(group: Sequence[Stage]) -> str:
    """The fit right behind the `shrink`: the next target goes on from it."""
    shrink = group[0]
    fits = [stage for stage in group if stage.kind == "fit" and stage.start == shrink.name]
    if not fits:
        raise InputError(
            f"Expected a stage of kind `fit` that starts from {shrink.name!r}, got none; add one,"
            " so that the next target can go on from a model that has recovered."
        )
    return fits[0].name


def _check_names(stages: Sequence[Stage]) -> None:
    names = [stage.name for stage in stages]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise InputError(
            f"Expected `stages` of different names, at least one, got {', '.join(twice) or 'none'}"
            f"{' twice' if twice else ''}."
        )


def _check_targets(targets: Sequence[float] | None, target: Target | None) -> None:
    if targets is None:
        return
    if not targets or list(targets) != sorted(set(targets)) or targets[0] <= 1:
        raise InputError(
            f"Expected `targets` to be ascending speedups above 1, got {list(targets)}."
        )
    if target is not None and target.goals:
        raise InputError(
            f"Expected either `targets` or `target.{next(iter(target.goals))}`, got both; leave one"
            " out."
        )
