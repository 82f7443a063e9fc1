"""What a search found: the section."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lightning_app.report import search_charts, words
from lightning_app.report.blocks import Block, Paragraph, Picture, Section, Table
from lightning_app.report.findings import Findings

MAX_ROWS = 12
"""Of the results in the table: the best."""


def searches(found: Findings) -> Section:
    """The table of the best, the front, the course and what the score depends on."""
    blocks: list[Block] = []
    for number, plain in enumerate(found.searches):
        blocks += _blocks(plain, "search" if number == 0 else f"search-{number + 1}")
    return Section("Search", blocks)


def headline(plain: Mapping[str, Any]) -> str:
    """What came out, in one sentence.

    Args:
        plain: Contents of `search.json`, with ``name``.
    """
    place = _place_of_score(plain)
    best, winner = plain["best"], plain.get("winner")
    trials = plain["finished"] + plain["stopped"]
    text = f"{plain['name']}: best of {trials} trials, {_values(best)}: score"
    text += f" {best['objectives'][place]:.4f} in cross-validation"
    return f"{text}, {winner['score']:.4f} on the validation rows." if winner else f"{text}."


def _blocks(plain: Mapping[str, Any], name: str) -> Iterator[Block]:
    yield Paragraph(
        f"{plain['name']}: {plain['finished']} trials finished, {plain['stopped']} stopped early"
        f" ({plain['sampler']}, {plain['pruner'].replace('none', 'no stopping')});"
        f" {plain['trained_epochs']} epochs in {words.clock(plain['fit_seconds'])} of fits."
        f" Scores are means over {plain['folds_used']} of {plain['folds']} folds of the training"
        " set."
    )
    yield _table(plain)
    yield from pictures(plain, f"{name}-")


def pictures(plain: Mapping[str, Any], prefix: str = "") -> Iterator[Picture]:
    """The front, what the score depends on, the course, and the results as parallel coordinates.

    Args:
        plain: Contents of `search.json`.
        prefix: Of their names.
    """
    if len(plain["objectives"]) > 1:
        title = f"{plain['name']}: score against {_in_words(_other(plain))}, and the front"
        yield Picture(f"{prefix}front", title, partial(search_charts.front, plain, _other(plain)))
    if plain.get("importances"):
        title = f"{plain['name']}: what the score depends on (fANOVA)"
        draw = partial(search_charts.importances, plain["importances"])
        yield Picture(f"{prefix}importances", title, draw)
    if len(plain["candidates"]) > 1:
        place = _place_of_score(plain)
        draw = partial(search_charts.history, plain, place)
        yield Picture(f"{prefix}history", f"{plain['name']}: the course of the search", draw)
        if plain.get("space"):  # searches of before have none
            title = f"{plain['name']}: a line a result, the better the stronger"
            yield Picture(f"{prefix}parallel", title, partial(search_charts.parallel, plain, place))


def _table(plain: Mapping[str, Any]) -> Table:
    """The front, or where there is one objective, the best results; the best stands out."""
    place = _place_of_score(plain)
    is_front = len(plain["objectives"]) > 1
    chosen: Sequence[Mapping[str, Any]] = plain["front"] if is_front else plain["candidates"]
    shown = sorted(chosen, key=lambda c: (-c["objectives"][place], c["trial"]))[:MAX_ROWS]
    keys = list(plain["best"]["values"])
    head = [
        "the front" if is_front else "the best results",
        *(_in_words(objective) for objective in plain["objectives"]),
        *keys,
    ]
    rows = [
        [
            f"trial {c['trial']}, {c['epochs']} epoch{'s' * (c['epochs'] != 1)}",
            *(_objective(n, v) for n, v in zip(plain["objectives"], c["objectives"], strict=True)),
            *(_short(c["values"].get(key)) for key in keys),
        ]
        for c in shown
    ]
    best = [number for number, c in enumerate(shown) if c == plain["best"]]
    return Table(head, rows, 1, best)


def _place_of_score(plain: Mapping[str, Any]) -> int:
    return list(plain["objectives"]).index("score")


def _other(plain: Mapping[str, Any]) -> str:
    """The objective beside the score."""
    return next(str(name) for name in plain["objectives"] if name != "score")


def _values(candidate: Mapping[str, Any]) -> str:
    named = candidate["values"].items()
    return ", ".join(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in named)


def _objective(name: str, value: float) -> str:
    if name == "score":
        return f"{value:.4f}"
    return words.millions(int(value)) if name == "parameters" else words.milliseconds(value)


def _in_words(objective: str) -> str:
    return {"latency_ms": "ms", "size_mb": "MB"}.get(objective, objective)


def _short(value: Any) -> str:
    return (
        f"{value:.3g}" if isinstance(value, float) else words.NONE if value is None else str(value)
    )
