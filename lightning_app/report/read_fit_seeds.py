"""The folder of several seeds of a fit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_app.commands.fit_seeds_result import FILE, VERSION
from lightning_app.errors import InputError
from lightning_app.report.files import mapping, read_json
from lightning_app.report.findings import Findings, SeedsTable, Value
from lightning_app.report.read_run import read_run
from lightning_app.report.read_seeds import (
    change_words,
    interval_words,
    mean_words,
    notes_on_tests,
    p_words,
)

_KEY = "seeds_version"
_HEAD = ("", "mean ± sd", "interval of 95 %")
_OF_TESTS = ("against the baseline", "paired t-test", "exact test")


def is_fit_seeds(folder: Path) -> bool:
    """Whether several seeds of a fit have ended here."""
    return (folder / FILE).is_file()


def read_fit_seeds(folder: Path, name: str) -> Findings:
    """The table over seeds, curves and seconds of all of them, and the structure of the first.

    Args:
        folder: `runs/NAME/seeds_N`.
        name: For the reader.

    Raises:
        InputError: If the file cannot be read.
    """
    plain = read_json(folder / FILE)
    if plain.get(_KEY) != VERSION:
        raise InputError(
            f"Expected {str(folder / FILE)!r} of version {VERSION}, got {plain.get(_KEY)!r}; run"
            " the command in it again."
        )
    runs = [mapping(run) for run in plain["runs"]]
    found = [read_run(folder / run["folder"], f"{name}, seed {run['seed']}") for run in runs]
    seeds = tuple(int(run["seed"]) for run in runs)
    score_name, score = next(iter(plain["metrics"].items()))
    first = replace(
        found[0].models[0],
        name=f"{name}, mean of {len(seeds)} seeds" if len(seeds) > 1 else name,
        source=name,
        score=Value(float(score["mean"])),
    )
    facts = {k: v for k, v in found[0].facts.items() if k != "seed"}
    return Findings(
        sources=((name, "fits with several seeds"),),
        models=(first,),
        shapes=tuple(replace(shape, name=name) for shape in found[0].shapes),
        curves=tuple(curves for each in found for curves in each.curves),
        costs=tuple(cost for each in found for cost in each.costs),
        seeds=(_table(plain, name, seeds, f"{name}: {score_name} {mean_words(score)}"),),
        commands=(str(plain["command"]),),
        facts={**facts, "seeds": ", ".join(map(str, seeds))},
        notes=(
            *(note for each in found for note in each.notes),
            f"Of {name}, structure and answers are of seed {seeds[0]}.",
        ),
    )


def _table(
    plain: Mapping[str, Any], name: str, seeds: tuple[int, ...], headline: str
) -> SeedsTable:
    against = mapping(plain.get("baseline"))
    tests = mapping(against.get("tests"))
    rows = [
        (metric, mean_words(mean), interval_words(mean), *_test_cells(mapping(tests.get(metric))))
        for metric, mean in plain["metrics"].items()
    ]
    head = (*_HEAD, *_OF_TESTS)
    width = len(head) if tests else len(_HEAD)
    other = f"the fits in {against.get('folder')} of seeds {_listed(against.get('seeds', ()))}"
    return SeedsTable(
        title=name,
        seeds=seeds,
        head=head[:width],
        rows=tuple(row[:width] for row in rows),
        notes=tuple(notes_on_tests([{"change": test} for test in tests.values()], other)),
        headline=f"{headline} over {len(seeds)} seeds{_gain(tests)}.",
    )


def _test_cells(test: Mapping[str, Any]) -> tuple[str, str, str]:
    return change_words(test), p_words(test.get("t_p")), p_words(test.get("sign_flip_p"))


def _gain(tests: Mapping[str, Any]) -> str:
    return f", {change_words(next(iter(tests.values())))} against the baseline" if tests else ""


def _listed(seeds: Any) -> str:
    return ", ".join(map(str, seeds))
