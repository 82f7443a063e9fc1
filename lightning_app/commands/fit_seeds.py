"""The same fit with several seeds: `glint fit --seeds N`."""

import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from lightning_app.commands.fit_seeds_folder import SeedsFolder
    from lightning_app.commands.fit_seeds_result import FitSeedsResult, SeedRun

OF_SEEDS: dict[str, tuple[Any, str]] = {
    "--seeds": (
        int,
        "Fit with so many seeds, from that of the configuration on, one after another, and say"
        " mean, spread and interval; run again, finished seeds are skipped and a killed one goes"
        " on.",
    ),
    "--baseline": (
        str,
        "With `--seeds`: a folder runs/NAME/seeds_N of another such set, to compare seed by seed.",
    ),
}
"""Options of `glint fit`, with the type of their value and their help."""
_DATA_SEED = "--data.data_seed"
_RESERVED = {
    "--ckpt_path": "a killed seed goes on by itself",
    "--trainer.logger": "a fit's results are read from its own folder",
    "--trainer.fast_dev_run": "it leaves no results",
}


class FitSeeds:
    """Runs `glint fit` once for each seed, each in a process of its own, and aggregates.

    A seed is of initialisation, dropout and the order of rows.

    Args:
        seeds: How many, at least 1.
        baseline: Folder of another set of fits, to compare with seed by seed.
        fit_arguments: All other arguments of `glint fit`.

    Raises:
        InputError: If something in it cannot be.
    """

    def __init__(self, seeds: int, baseline: str | None, fit_arguments: Sequence[str]) -> None:
        if seeds < 1:
            raise InputError(f"Expected `--seeds` to be at least 1, got {seeds}.")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise InputError(
                "Expected `--seeds` without torchrun, which starts several processes, of which"
                " each would run all seeds; use `--trainer.devices` on one machine."
            )
        for word in fit_arguments:
            if (reason := _RESERVED.get(word.partition("=")[0])) is not None:
                option = word.partition("=")[0]
                raise InputError(f"Expected no `{option}` with `--seeds`: {reason}.")
        self.seeds = seeds
        self.baseline = None if baseline is None else Path(baseline)
        self.fit_arguments = tuple(fit_arguments)

    @classmethod
    def of_arguments(cls, arguments: Sequence[str]) -> "FitSeeds":
        """From what stands behind `glint fit`.

        Raises:
            InputError: If `--seeds` is missing or no number.
        """
        given, others = _split(arguments)
        if "--seeds" not in given:
            raise InputError(
                "Expected `--seeds N` with `--baseline`, which compares seed by seed, got none."
            )
        if not given["--seeds"].lstrip("-").isdigit():
            raise InputError(
                f"Expected `--seeds` to be a whole number, got {given['--seeds']!r}; see"
                " `glint fit --help`."
            )
        return cls(int(given["--seeds"]), given.get("--baseline"), others)

    def run(self, say: Callable[[str], None] = print) -> "FitSeedsResult":
        """Fit, and write `seeds.json`.

        Args:
            say: Is told each line of progress.

        Raises:
            InputError: If the configuration is refused, a fit fails, or the baseline has nothing
                to compare with.
        """
        from lightning_app.commands.fit_seeds_folder import SeedsFolder
        from lightning_app.commands.fit_seeds_result import FitSeedsResult, read_seeds
        from lightning_app.search.fit_parser import fit_parser

        baseline = None if self.baseline is None else read_seeds(self.baseline)
        config = fit_parser().of_arguments(self.fit_arguments)
        seeds = self._seeds(config)
        folder = SeedsFolder.of_config(config, keeps_data_seed=self._names_data_seed)
        if baseline is not None:
            baseline.check_shares(seeds)
            if baseline.folder.resolve() == folder.path.resolve():
                raise InputError(
                    f"Expected `--baseline` to be another set of fits, got {str(self.baseline)!r},"
                    " which is of this configuration."
                )
            baseline.check_rows(lambda seed: self._data(config, seed), seeds)
        with folder.locked():
            say(f"{self.seeds} seeds in {folder.path}")
            runs = [self._fit(folder, seed, seeds, say) for seed in seeds]
            result = FitSeedsResult.of_runs(folder.path, runs, self._command, baseline)
            result.write()
        return result

    def _data(self, config: dict[str, Any], seed: int) -> dict[str, Any]:
        """Of a seed's configuration."""
        data: dict[str, Any] = dict(config["data"])
        if not self._names_data_seed:
            data["init_args"] = {**(data.get("init_args") or {}), "data_seed": seed}
        return data

    def _fit(
        self, folder: "SeedsFolder", seed: int, seeds: Sequence[int], say: Callable[[str], None]
    ) -> "SeedRun":
        from lightning_app.recipes.child import run_command
        from lightning_app.recipes.engine import clock

        head = f"[{seeds.index(seed) + 1}/{len(seeds)}] seed {seed}"
        run = folder.finished(seed)
        if run is not None:
            say(f"{head}: finished before, {run.score_name} {run.score:.4f}")
            return run
        say(head)
        started = time.monotonic()
        home = folder.prepare(seed)
        run_command(["fit", *self._arguments(home, seed)], home)
        run = folder.finish(seed)
        say(f"      {clock(time.monotonic() - started)}, {run.score_name} {run.score:.4f}")
        return run

    def _arguments(self, home: Path, seed: int) -> list[str]:
        of_data = [] if self._names_data_seed else [f"{_DATA_SEED}={seed}"]
        return [
            *self.fit_arguments,
            f"--seed_everything={seed}",
            *of_data,
            f"--trainer.default_root_dir={home.parent}",
            f"--name={home.name}",
            "--ckpt_path=last",
        ]

    def _seeds(self, config: dict[str, Any]) -> list[int]:
        first = config["seed_everything"]
        if isinstance(first, bool) or not isinstance(first, int):
            raise InputError(
                f"Expected `seed_everything` to be the first of the seeds, got {first!r}."
            )
        return list(range(first, first + self.seeds))

    @property
    def _names_data_seed(self) -> bool:
        names = (_DATA_SEED, "--data.init_args.data_seed")
        return any(word.partition("=")[0] in names for word in self.fit_arguments)

    @property
    def _command(self) -> str:
        against = [] if self.baseline is None else ["--baseline", str(self.baseline)]
        seeds = ["--seeds", str(self.seeds)]
        return shlex.join(["glint", "fit", *self.fit_arguments, *seeds, *against])


def _split(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Our options with their values, and all others."""
    given: dict[str, str] = {}
    others: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, has_value, value = word.partition("=")
        if name not in OF_SEEDS:
            others.append(word)
        elif has_value:
            given[name] = value
        elif left and not left[0].startswith("--"):
            given[name] = left.pop(0)
        else:
            raise InputError(f"Expected a value behind `{name}`, got none.")
    return given, others
