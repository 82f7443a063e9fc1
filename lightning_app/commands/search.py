"""Search for the best configuration: `glint search`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.commands.plain_options import plain
from lightning_app.errors import InputError
from lightning_app.search.specification import (
    EPOCHS,
    Objective,
    PrunerName,
    SamplerName,
    Specification,
)

if TYPE_CHECKING:
    from lightning_app.search.results import Findings
    from lightning_app.search.search_run import SearchRun

DEFAULT_ROOT = "runs/search"
_MAX_TRIED = 64
"""Values of the space that are tried out before the search begins."""


class Search:
    """Searches over any keys of a configuration, by cross-validation on the training set, and ends
    with a configuration that `glint fit` takes, trained once on all of it.

    The study is kept in a database: run again, it goes on; the same command on another machine
    with the same `--storage` joins in; a trial whose worker was killed is found by its heartbeat
    and goes on from its last checkpoint. Options of `glint fit` (`--data.dataset`,
    `--model.model_name_or_path`, ...) are passed to each fit.

    Args:
        name: Of the study, and of its folder in `root`.
        base: YAML files of the task, as `glint fit --config` takes them.
        recipe: In its place a YAML file of `glint compress`: each trial is a whole recipe, and the
            objectives are measured on its artifact.
        space: By key of the configuration (`model.learning_rate`, `callbacks.NAME.ARGUMENT`, ...)
            `{choices: [...]}` or `{low: ..., high: ..., log: true}`; of a recipe also
            `stages.NAME.KEY` and `target.speedup`; see docs/search.md.
        options: Further configuration of each fit, in the words of its YAML.
        sampler: `grid`, `random`, `tpe`, `gp` or `nsga2` (for several objectives).
        pruner: Stops trials that are behind: `median`, `hyperband`, `asha` or `none`.
        objectives: `score`, and any of `latency_ms`, `size_mb`, `parameters`: with several of them
            the end is a front.
        trials: How many; of a grid all.
        folds: The training set is cut into so many parts.
        folds_used: Of these so many are validated on in turn; by default all.
        seed: Of the sampler.
        begin_with_config: Begin with the configuration as it is, where it lies in the space.
        share_prefix: One training for all epoch counts of `trainer.max_epochs` in the space; by
            default where the learning rate's schedule allows it.
        reduction_factor: Of `hyperband` and `asha`: one of so many trials goes on.
        margin: Of the score: with several objectives a trial is stopped where another one is
            ahead by it and not behind in anything.
        runtime: Of latency and size: a format of `glint export`.
        length: Tokens of the call whose latency counts.
        batch_size: Its rows.
        threads: It computes with.
        root: Folder of all searches.
        storage: The study's database; by default `study.db` in its folder. `postgresql://...`
            where several machines work on it.
        workers: Processes on this machine.
        heartbeat: Seconds between signs of life; after four of them without one, a trial is taken
            up by another worker.
        winner: Train the best configuration on the whole training set at the end.
        fit_options: Of `glint fit`, for each fit of the search.

    Raises:
        InputError: If something in it cannot be.
    """

    def __init__(
        self,
        name: str,
        space: dict[str, Any],
        base: list[str] | None = None,
        recipe: str | None = None,
        options: dict[str, Any] | None = None,
        sampler: SamplerName = "tpe",
        pruner: PrunerName = "none",
        objectives: list[Objective] | None = None,
        trials: int = 20,
        folds: int = 3,
        folds_used: int | None = None,
        seed: int = 42,
        begin_with_config: bool = True,
        share_prefix: bool | None = None,
        reduction_factor: int = 3,
        margin: float = 0.02,
        runtime: str = "openvino-int8",
        length: int = 128,
        batch_size: int = 1,
        threads: int = 1,
        root: str = DEFAULT_ROOT,
        storage: str | None = None,
        workers: int = 1,
        heartbeat: int = 15,
        winner: bool = True,
        fit_options: Sequence[str] = (),
    ) -> None:
        if not name or not all(c.isalnum() or c in "-_." for c in name):
            raise InputError(f"Expected `name` of letters, digits, - and _, got {name!r}.")
        if workers < 1:
            raise InputError(f"Expected `--workers` to be at least 1, got {workers}.")
        space = {key: plain(written) for key, written in space.items()}
        config = _config(base, recipe, plain(options or {}), fit_options)
        self.notes: list[str] = []
        self.storage = storage or f"sqlite:///{Path(root) / name / 'study.db'}"
        self.workers = workers
        self.winner = winner
        self.specification = Specification(
            name=name,
            folder=str(Path(root) / name),
            config=config,
            space=space,
            sampler=sampler,
            pruner=pruner,
            objectives=list(objectives or ["score"]),
            folds=folds,
            folds_used=folds if folds_used is None else folds_used,
            trials=trials,
            seed=seed,
            begin_with_config=begin_with_config,
            reduction_factor=reduction_factor,
            margin=margin,
            runtime=runtime,
            length=length,
            batch_size=batch_size,
            threads=threads,
            heartbeat=heartbeat,
            shares_prefix=self._shares_prefix(config, space, share_prefix),
        )

    def prepare(self, say: Any = print) -> "SearchRun":
        """Check all of it against what `glint fit` takes.

        Args:
            say: Is told each line of progress, later.

        Raises:
            InputError: If a key is unknown, or a value of the space is refused.
        """
        from lightning_app.search.search_run import SearchRun

        full = self._checked()
        what = self.specification
        return SearchRun(
            what,
            self.storage,
            _rungs(what, full),
            _start(what, full),
            self.workers,
            self.winner,
            say,
        )

    def run(self, say: Any = print) -> "Findings":
        """Search.

        Args:
            say: Is told each line of progress.

        Raises:
            InputError: If something in it cannot be, or nothing could be trained.
        """
        from lightning_app.optional_packages import require

        require(["optuna"], "search", "`glint search`")
        run = self.prepare(say)
        what = self.specification
        for note in self.notes:
            say(f"note: {note}")
        say(
            f"{what.name}: {len(run.tickets())} trials ({what.sampler}), {what.folds_used} of"
            f" {what.folds} folds, {self.workers} worker{'s' * (self.workers > 1)};"
            f" tensorboard --logdir {what.folder}"
        )
        return run.run()

    def _checked(self) -> dict[str, Any]:
        """The configuration with its defaults; each key and value of the space has been tried."""
        from lightning_app.search.keys import check_known
        from lightning_app.search.subject import checked, flat, with_value

        what = self.specification
        domains = what.domains  # what is written wrongly is said first
        if what.sampler == "grid":
            for domain in domains.values():
                domain.grid()
        full = checked(what.config)
        known = flat(full)
        tried = 0
        for key, domain in domains.items():
            check_known(key, known)
            for value in domain.samples():
                tried += 1
                if tried <= _MAX_TRIED:
                    checked(with_value(what.config, key, value))
        return full

    def _shares_prefix(
        self, config: dict[str, Any], space: dict[str, Any], wanted: bool | None
    ) -> bool:
        from lightning_app.search.prefix import why_not_shared
        from lightning_app.search.recipe_space import is_recipe

        if is_recipe(config):
            if wanted:
                raise InputError(
                    "Expected `share_prefix` with `base`, got true with `recipe`, whose fits are"
                    " not of one kind."
                )
            return False
        if EPOCHS not in space:
            if wanted:
                raise InputError(
                    f"Expected `{EPOCHS}` in the space with `share_prefix: true`, got none."
                )
            return False
        if wanted is False:
            return False
        reason = why_not_shared(config, space)
        if reason is None:
            return True
        if wanted:
            raise InputError(f"Expected a schedule that allows `share_prefix: true`, but {reason}.")
        self.notes.append(f"each epoch count is trained from the beginning, as {reason}")
        return False


def _rungs(what: Specification, full: dict[str, Any]) -> list[int]:
    from lightning_app.search.samplers import longest_rungs

    return longest_rungs(what, full)


def _start(what: Specification, full: dict[str, Any]) -> dict[str, Any]:
    """The configuration's own values, where all of them lie in the space."""
    from lightning_app.search.subject import flat

    known = flat(full)
    own = {key: known.get(key) for key in what.domains}
    fits = all(domain.contains(own[key]) for key, domain in what.domains.items())
    return own if what.begin_with_config and fits else {}


def _config(
    base: list[str] | None, recipe: str | None, options: dict[str, Any], fit_options: Sequence[str]
) -> dict[str, Any]:
    """Of a fit, or of a recipe."""
    from lightning_app.recipes.composition import composed, read_yaml
    from lightning_app.search.keys import of_options
    from lightning_app.search.recipe_space import recipe_config

    if (base is None) == (recipe is None):
        raise InputError(
            "Expected either `base`, the YAML files of a fit, or `recipe`, one of `glint"
            f" compress`, got {'neither' if base is None else 'both'}."
        )
    over = [options, of_options(fit_options)]
    if recipe is not None:
        return recipe_config(recipe, over)
    layers = [*map(read_yaml, base or []), *over]
    return {key: value for key, value in composed(layers).items() if key != "name"}
