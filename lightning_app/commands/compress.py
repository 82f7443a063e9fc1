"""Lead a task to a small, fast model: `glint compress`."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.commands.plain_options import plain
from lightning_app.errors import InputError
from lightning_app.recipes.stage import Stage, Target

if TYPE_CHECKING:
    from lightning_app.recipes.engine import Engine
    from lightning_app.recipes.result import RecipeResult

DEFAULT_ROOT = "runs/compress"
DEFAULT_SEED = 42
FIT_OPTIONS = ("--model", "--data", "--trainer", "--checkpoint", "--seed_everything")
"""What on the command line is of the fits, and not of the recipe."""
_RESERVED = ("--trainer.default_root_dir", "--trainer.logger")


class Compress:
    """Runs a recipe: fine-tune, shrink to a structure that is fast here, distill, quantize, export,
    benchmark. It ends with the artifact, and with a table of what it gained and lost.

    Each stage's result is kept by a hash of what it follows from: run again, what is finished is
    skipped, what was killed goes on, and what changed runs anew with all that builds on it.
    Options of `glint fit` (`--data.dataset`, `--model.model_name_or_path`, ...) are passed to each
    fit of the recipe.

    Args:
        name: Of the recipe, and of its folder in `root`.
        base: YAML files of the task, as `glint fit --config` takes them.
        stages: In their order; see docs/compress.md.
        options: Further configuration of each fit, in the words of its YAML.
        target: What the artifact is to achieve on this machine.
        targets: Speedups, ascending, each for an artifact of its own, in place of
            `target.speedup`.
        root: Folder of all recipes.
        plan: Print what would be done, step by step, and how long it will take; do nothing.
        seeds: Run the recipe with so many seeds, from that of the configuration on, each in a
            folder of its own, and compare seed by seed; by default once.
        estimate: Run a few steps of each fit first, to say how long it will take and to find what
            cannot work.
        fit_options: Of `glint fit`, for each fit of the recipe.
    """

    def __init__(
        self,
        name: str,
        base: list[str],
        stages: list[Stage],
        options: dict[str, Any] | None = None,
        target: Target | None = None,
        targets: list[float] | None = None,
        root: str = DEFAULT_ROOT,
        plan: bool = False,
        seeds: int | None = None,
        estimate: bool = True,
        fit_options: Sequence[str] = (),
    ) -> None:
        from lightning_app.recipes.recipe import Recipe

        # From the command line all is plain, as a stage's options name classes that are for its own
        # command to make.
        stages = [s if isinstance(s, Stage) else Stage(**plain(s)) for s in stages]
        if isinstance(target, Mapping):
            target = Target(**target)
        self.recipe = Recipe(name, base, stages, plain(options or {}), target, targets)
        self.root = Path(root) / name
        self.plan = plan
        self.estimate = estimate
        self.seeds = seeds
        if seeds is not None and seeds < 1:
            raise InputError(f"Expected `--seeds` to be at least 1, got {seeds}.")
        self.fit_options = tuple(fit_options)
        for option in self.fit_options:
            if option.startswith(_RESERVED):
                raise InputError(
                    f"Expected `--root` in place of `{option}`: a recipe keeps its runs in folders"
                    " of its own."
                )

    def print_plan(self, say: Any = print) -> None:
        """Print the course of each fit in full, and do nothing else.

        Raises:
            InputError: If the recipe cannot work.
        """
        from lightning_app.recipes.engine import Engine

        say(self.plan_text(Engine(self.recipe, self.root, self.fit_options, say), in_full=True))

    def plan_text(self, engine: "Engine", in_full: bool) -> str:
        """What will be done; the engine learns how long it will take."""
        from lightning_app.recipes.timeline import Planning, plan_text

        planned = self.recipe.planned()
        folders = engine.folders(planned)
        timelines = {}
        if self.estimate or in_full:
            planning = Planning(self.root, self.fit_options, engine.say)
            timelines = planning.timelines(planned, folders)
        engine.left = {name: timeline.seconds for name, timeline in timelines.items()}
        return plan_text(planned, folders, timelines, in_full)

    def run_with_seeds(self, say: Any = print) -> "list[RecipeResult]":
        """Run it once for each seed; seeds are of initialisation, dropout and the order of rows.

        Args:
            say: Is told each line of progress.
        """
        from lightning_app.recipes.composition import composed, read_yaml
        from lightning_app.recipes.seeds import over_seeds, seeds_text, write_seeds

        assert self.seeds is not None
        config = composed([*map(read_yaml, self.recipe.base), self.recipe.options])
        first = int(config.get("seed_everything", DEFAULT_SEED))
        seeds = range(first, first + self.seeds)
        results = []
        for seed in seeds:
            say(f"seed {seed}")
            results.append(self._with_seed(seed).run(say))
        outcomes = over_seeds(results)
        file = write_seeds(outcomes, seeds, self.root)
        say(f"{seeds_text(outcomes, seeds)}\nwritten: {file}")
        return results

    def _with_seed(self, seed: int) -> "Compress":
        one = copy.copy(self)
        one.root = self.root / f"seed{seed}"
        one.fit_options = (*self.fit_options, f"--seed_everything={seed}")
        if not any(option.startswith("--data.data_seed") for option in self.fit_options):
            one.fit_options += (f"--data.data_seed={seed}",)
        return one

    def run(self, say: Any = print) -> "RecipeResult":
        """Run it.

        Args:
            say: Is told each line of progress.

        Raises:
            InputError: If the recipe cannot work, or a stage fails.
        """
        from lightning_app.recipes.engine import Engine
        from lightning_app.recipes.result import recipe_result, write_result

        engine = Engine(self.recipe, self.root, self.fit_options, say)
        say(self.plan_text(engine, in_full=False))
        done = engine.run()
        result = recipe_result(self.recipe.name, self.root, self.recipe.target, done)
        write_result(result)
        return result


def split_fit_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of the recipe, and those of its fits, each with its value behind `=`."""
    own: list[str] = []
    of_fits: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        name = word.partition("=")[0]
        if not any(name == o or name.startswith((f"{o}.", f"{o}+")) for o in FIT_OPTIONS):
            own.append(word)
        elif "=" in word or not left or left[0].startswith("--"):
            of_fits.append(word)
        else:
            of_fits.append(f"{word}={left.pop(0)}")
    return own, of_fits
