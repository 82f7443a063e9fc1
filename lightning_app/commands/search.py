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
_OF_RECIPES = ("stages", "target", "targets")
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
        space: By key of the configuration (`model.learning_rate`, `callbacks.NAME.ARGUMENT`, ...)
            `{choices: [...]}` or `{low: ..., high: ..., log: true}`; see docs/search.md.
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
        base: list[str],
        space: dict[str, Any],
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
        from lightning_app.recipes.composition import composed, read_yaml
        from lightning_app.search.keys import of_options

        if not name or not all(c.isalnum() or c in "-_." for c in name):
            raise InputError(f"Expected `name` of letters, digits, - and _, got {name!r}.")
        if workers < 1:
            raise InputError(f"Expected `--workers` to be at least 1, got {workers}.")
        space = {key: plain(written) for key, written in space.items()}
        layers = [*map(read_yaml, base), plain(options or {}), of_options(fit_options)]
        config = {k: v for k, v in composed(layers).items() if k != "name"}
        _check_has_no_stages(config, space)
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
        from lightning_app.search.fit_parser import fit_parser
        from lightning_app.search.keys import check_known, flat, set_key

        what = self.specification
        domains = what.domains  # what is written wrongly is said first
        if what.sampler == "grid":
            for domain in domains.values():
                domain.grid()
        parser = fit_parser()
        full = parser.checked(what.config)
        known = flat(full)
        tried = 0
        for key, domain in domains.items():
            check_known(key, known)
            for value in domain.samples():
                tried += 1
                if tried <= _MAX_TRIED:
                    parser.checked(set_key(what.config, key, value))
        return full

    def _shares_prefix(
        self, config: dict[str, Any], space: dict[str, Any], wanted: bool | None
    ) -> bool:
        from lightning_app.search.prefix import why_not_shared

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
    from lightning_app.search.keys import flat

    known = flat(full)
    own = {key: known.get(key) for key in what.domains}
    fits = all(domain.contains(own[key]) for key, domain in what.domains.items())
    return own if what.begin_with_config and fits else {}


def _check_has_no_stages(config: dict[str, Any], space: dict[str, Any]) -> None:
    """A trial is one fit, scored on folds; a recipe is scored on the validation set."""
    of_recipes = [key for key in space if key.split(".")[0] in _OF_RECIPES]
    of_recipes += [key for key in config if key in _OF_RECIPES]
    if of_recipes:
        raise InputError(
            f"Expected keys of a fit's configuration, got {of_recipes[0]!r} of a recipe: a search"
            " tries single fits. Search the fit of a stage, and put the `best.yaml` that comes out"
            " into the recipe's `base`."
        )
