"""What several seeds of a fit gave: `seeds.json`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightning_app.commands.validated_rows import deciding_options, differences
from lightning_app.commands.whole_file import write_whole
from lightning_app.errors import InputError
from lightning_app.functional.seed_statistics import (
    MeanEstimate,
    PairedTest,
    mean_estimate,
    paired_test,
)
from lightning_app.recipes.composition import read_yaml

FILE = "seeds.json"
VERSION = 1
_METRICS = "metrics.json"
_CONFIG = "config.yaml"
_OF_VALIDATION = "val/"
_SCORE = "val/score"


@dataclass(frozen=True)
class SeedRun:
    """The fit of one seed.

    Args:
        seed: It.
        folder: Of the run, relative to that of all seeds.
        task: Its name.
        metrics: Of its best validation, by name, the score first.
        seconds: That it took.
    """

    seed: int
    folder: str
    task: str
    metrics: dict[str, float]
    seconds: float

    @classmethod
    def read(cls, root: Path, seed: int, folder: str) -> "SeedRun":
        """From `metrics.json`.

        Raises:
            InputError: If the fit was never validated.
        """
        file = root / folder / _METRICS
        plain = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        best = plain.get("best") or {}
        names = sorted(
            (name for name in best if name.startswith(_OF_VALIDATION)),
            key=lambda name: (name != _SCORE, name),
        )
        if not names:
            raise InputError(
                f"Expected each seed's fit to be validated at least once, got no validation in"
                f" {str(root / folder)!r}; let it train for longer, or validate more often."
            )
        metrics = {name: float(best[name]) for name in names}
        return cls(seed, folder, str(plain.get("task")), metrics, float(plain["seconds"]))

    @property
    def score_name(self) -> str:
        """Of the first metric."""
        return next(iter(self.metrics))

    @property
    def score(self) -> float:
        """The first metric."""
        return self.metrics[self.score_name]


@dataclass(frozen=True)
class Comparison:
    """With another set of fits.

    Args:
        folder: Of the other set.
        seeds: That both have.
        tests: By metric, of the differences to the other set.
    """

    folder: Path
    seeds: tuple[int, ...]
    tests: dict[str, PairedTest]


@dataclass(frozen=True)
class OtherSeeds:
    """A set of fits to compare with.

    Args:
        folder: Of it.
        task: Its name.
        metrics: By seed and name.
        runs: By seed the folder of its run.
    """

    folder: Path
    task: str
    metrics: Mapping[int, Mapping[str, float]]
    runs: Mapping[int, Path] = field(default_factory=dict)

    def check_shares(self, seeds: Sequence[int]) -> None:
        """Refuse a set that has no seed in common.

        Args:
            seeds: To look for.

        Raises:
            InputError: If there is none.
        """
        if not set(seeds) & set(self.metrics):
            first = min(self.metrics)
            raise InputError(
                f"Expected seeds in common with the `--baseline` ({_listed(self.metrics)}), got"
                f" {_listed(seeds)}; set `--seed_everything {first}`."
            )

    def check_rows(self, data_of: Callable[[int], Mapping[str, Any]], seeds: Sequence[int]) -> None:
        """Refuse a set that was validated on other rows: no difference would be paired.

        Args:
            data_of: Section `data` of a seed's configuration.
            seeds: That are compared.

        Raises:
            InputError: It names the first option that decides otherwise.
        """
        for seed in seeds:
            file = self.runs.get(seed, Path()) / _CONFIG
            if seed not in self.metrics or not file.is_file():
                continue
            other = deciding_options(read_yaml(str(file))["data"])
            for difference in differences(deciding_options(data_of(seed)), other):
                raise InputError(
                    f"Expected a `--baseline` that was validated on the same rows, but of seed"
                    f" {seed} its {difference}."
                )

    def compare(self, runs: Sequence["SeedRun"]) -> Comparison:
        """Test each metric on the seeds that both have.

        Args:
            runs: Of the set that is compared with this one.

        Raises:
            InputError: If they are of another task.
        """
        pairs = [(run.metrics, self.metrics[run.seed]) for run in runs if run.seed in self.metrics]
        if runs[0].task != self.task:
            raise InputError(
                f"Expected a `--baseline` of the task {runs[0].task!r}, got {self.task!r}."
            )
        names = [n for n in runs[0].metrics if all(n in a and n in b for a, b in pairs)]
        tests = {n: paired_test([a[n] for a, _ in pairs], [b[n] for _, b in pairs]) for n in names}
        seeds = tuple(run.seed for run in runs if run.seed in self.metrics)
        return Comparison(self.folder, seeds, tests)


@dataclass(frozen=True)
class FitSeedsResult:
    """Of `glint fit --seeds`.

    Args:
        folder: Of all seeds.
        runs: One a seed.
        metrics: Means over them, by name, the score first.
        seconds: Mean.
        command: That gave it.
        comparison: With the baseline; None without one.
    """

    folder: Path
    runs: tuple[SeedRun, ...]
    metrics: dict[str, MeanEstimate]
    seconds: MeanEstimate
    command: str
    comparison: Comparison | None

    @classmethod
    def of_runs(
        cls, folder: Path, runs: Sequence[SeedRun], command: str, baseline: OtherSeeds | None
    ) -> "FitSeedsResult":
        """Aggregate.

        Args:
            folder: Of all seeds.
            runs: One a seed, at least one.
            command: That gave them.
            baseline: To compare with.

        Raises:
            InputError: If the baseline is of another task.
        """
        names = [name for name in runs[0].metrics if all(name in run.metrics for run in runs)]
        means = {name: mean_estimate([run.metrics[name] for run in runs]) for name in names}
        seconds = mean_estimate([run.seconds for run in runs])
        comparison = None if baseline is None else baseline.compare(runs)
        return cls(folder, tuple(runs), means, seconds, command, comparison)

    @property
    def seeds(self) -> tuple[int, ...]:
        """In order."""
        return tuple(run.seed for run in self.runs)

    def write(self) -> None:
        """Write `seeds.json`."""
        against = self.comparison
        plain = {
            "seeds_version": VERSION,
            "task": self.runs[0].task,
            "seeds": list(self.seeds),
            "metrics": {name: asdict(mean) for name, mean in self.metrics.items()},
            "seconds": asdict(self.seconds),
            "baseline": None if against is None else _plain(against),
            "runs": [asdict(run) for run in self.runs],
            "command": self.command,
        }
        write_whole(self.folder / FILE, (json.dumps(plain, indent=1) + "\n").encode())


def read_seeds(folder: Path) -> OtherSeeds:
    """A set of fits.

    Args:
        folder: With a `seeds.json`.

    Raises:
        InputError: If it has none.
    """
    try:
        plain: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
        metrics = {int(run["seed"]): run["metrics"] for run in plain["runs"]}
        runs = {int(run["seed"]): folder / run["folder"] for run in plain["runs"]}
        return OtherSeeds(folder, str(plain["task"]), metrics, runs)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"Expected `--baseline` to be a folder of `glint fit --seeds` that has ended"
            f" (runs/NAME/seeds_N), got {str(folder)!r}{_hint(folder)}."
        ) from error


def _hint(folder: Path) -> str:
    if not folder.exists():
        return ", which does not exist"
    inner = sorted(file.parent for file in folder.glob(f"seeds_*/{FILE}"))
    return f"; there is {str(inner[-1])!r}" if inner else f", which has no {FILE}"


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {
        "folder": str(comparison.folder),
        "seeds": list(comparison.seeds),
        "tests": {name: asdict(test) for name, test in comparison.tests.items()},
    }


def _listed(seeds: Sequence[int] | Mapping[int, Any]) -> str:
    return ", ".join(map(str, seeds))
