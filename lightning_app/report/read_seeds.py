"""`compress-seeds.json`, of several seeds of a recipe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_app.recipes.seeds import FILE as OF_RECIPES
from lightning_app.report.files import mapping, read_json
from lightning_app.report.findings import Findings, SeedsTable
from lightning_app.report.read_compress import is_compress, read_compress

NONE = "–"
_HEAD = (
    "",
    "score, mean ± sd",
    "interval of 95 %",
    "against dense",
    "paired t-test",
    "exact test",
    "times as fast",
)


def is_seeds(folder: Path) -> bool:
    """Whether several seeds of a recipe have ended here."""
    return (folder / OF_RECIPES).is_file()


def read_recipe_seeds(folder: Path, name: str) -> Findings:
    """The table over seeds, and all else of the first seed.

    Args:
        folder: Of the recipe.
        name: For the reader.

    Raises:
        InputError: If a file cannot be read.
    """
    plain = read_json(folder / OF_RECIPES)
    seeds = tuple(int(seed) for seed in plain["seeds"])
    first = folder / f"seed{seeds[0]}"
    found = (
        read_compress(first, name) if is_compress(first) else Findings(sources=((name, "seeds"),))
    )
    rows = tuple(_row(result) for result in plain["results"])
    notes = tuple(notes_on_tests(plain["results"], "the dense model of the same seed"))
    table = SeedsTable(name, seeds, _HEAD, rows, notes)
    note = f"Of {len(seeds)} seeds, all but the table over seeds is of seed {seeds[0]}."
    return Findings(**{**vars(found), "seeds": (table,), "notes": (*found.notes, note)})


def _row(result: Mapping[str, Any]) -> tuple[str, ...]:
    change = mapping(result.get("change"))
    return (
        str(result["name"]),
        mean_words(result.get("score")),
        interval_words(result.get("score")),
        change_words(change),
        p_words(change.get("t_p")),
        p_words(change.get("sign_flip_p")),
        mean_words(result.get("speedup"), ".2f"),
    )


def mean_words(estimate: Mapping[str, Any] | None, form: str = ".4f") -> str:
    """``0.8421 ± 0.0062``."""
    if not estimate:
        return NONE
    std = estimate.get("std")
    return format(estimate["mean"], form) + ("" if std is None else f" ± {std:{form}}")


def interval_words(estimate: Mapping[str, Any] | None, form: str = ".4f") -> str:
    """``0.8310 to 0.8532``."""
    if not estimate or estimate.get("low") is None:
        return NONE
    return f"{estimate['low']:{form}} to {estimate['high']:{form}}"


def change_words(change: Mapping[str, Any]) -> str:
    """``-0.0031 (-0.0101 to 0.0039)``."""
    if not change:
        return NONE
    difference = mapping(change["difference"])
    interval = interval_words(difference, "+.4f")
    return f"{difference['mean']:+.4f}" + ("" if interval == NONE else f" ({interval})")


def p_words(p: float | None) -> str:
    """``p = 0.031``."""
    if p is None:
        return NONE
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def notes_on_tests(results: list[Mapping[str, Any]], other: str) -> list[str]:
    """What the tests compare, and what they can show at most.

    Args:
        results: With a paired test each under ``change``, or None.
        other: What they are compared with.
    """
    tests = [mapping(result["change"]) for result in results if result.get("change")]
    if not tests:
        return []
    return [
        f"Differences are to {other}, seed by seed. The exact test swaps the two of each seed in"
        f" all ways; with so many seeds its p cannot fall below {tests[0]['smallest_p']:g}."
    ]
