"""Captions with a graded similarity, for stsb."""

from datamodules.embedded.draw import Draw
from datamodules.embedded.similarity_concepts import (
    ACTIONS,
    AGENTS,
    ENCOUNTERS,
    PLACES,
    TIMES,
    UNSEEN_ACTIONS,
    UNSEEN_PLACES,
    Concepts,
)

# What a caption is about weighs most, when it happens least; the sum is the best score, 5.
_WEIGHTS = {"action": 2.5, "agent": 1.2, "place": 0.8, "time": 0.5}

# Two captions of different actions share little even if all the rest agrees.
_OTHER_ACTION_DISCOUNT = 0.4
_RELATED_SHARE = 0.5
_SWAPPED_SCORE = 3.0
_SAME_ENCOUNTER_SCORE = 5.0

_ORDERS = ("{agent} {action} {place} {time}.", "{time}, {agent} {action} {place}.")

# A meaning is a group of related concepts and the concept's place in it.
_Meaning = tuple[int, int]


def similarity_row(draw: Draw) -> dict[str, object]:
    """Two captions and their similarity between 0 and 5."""
    return _encounter_row(draw) if draw.chance(0.15) else _scene_row(draw)


def _scene_row(draw: Draw) -> dict[str, object]:
    tables = _tables(draw)
    first = {name: _meaning(draw, table) for name, table in tables.items()}
    changes = draw.rng.sample(list(tables), draw.choice((0, 1, 1, 2, 2, 3, 4)))
    second = {
        name: _changed(draw, tables[name], first[name]) if name in changes else first[name]
        for name in tables
    }
    return {
        "sentence1": _caption(draw, tables, first),
        "sentence2": _caption(draw, tables, second),
        "label": _score(first, second),
    }


def _tables(draw: Draw) -> dict[str, Concepts]:
    return {
        "agent": AGENTS,
        "action": draw.among((ACTIONS,), (UNSEEN_ACTIONS,)),
        "place": draw.among((PLACES,), (UNSEEN_PLACES,)),
        "time": TIMES,
    }


def _meaning(draw: Draw, table: Concepts) -> _Meaning:
    group = draw.rng.randrange(len(table))
    return group, draw.rng.randrange(len(table[group]))


def _changed(draw: Draw, table: Concepts, meaning: _Meaning) -> _Meaning:
    related = draw.chance(0.5)
    while True:
        other = _meaning(draw, table)
        if other != meaning and (other[0] == meaning[0]) == related:
            return other


def _caption(draw: Draw, tables: dict[str, Concepts], meanings: dict[str, _Meaning]) -> str:
    words = {
        name: draw.choice(table[meanings[name][0]][meanings[name][1]])
        for name, table in tables.items()
    }
    return draw.fill(draw.choice(_ORDERS), words)


def _score(first: dict[str, _Meaning], second: dict[str, _Meaning]) -> float:
    shares = {name: _share(first[name], second[name]) for name in first}
    score = sum(_WEIGHTS[name] * share for name, share in shares.items())
    return round(score * (1.0 if shares["action"] else _OTHER_ACTION_DISCOUNT), 2)


def _share(first: _Meaning, second: _Meaning) -> float:
    if first == second:
        return 1.0
    return _RELATED_SHARE if first[0] == second[0] else 0.0


def _encounter_row(draw: Draw) -> dict[str, object]:
    active, passive = draw.choice(ENCOUNTERS)
    bindings: dict[str, str] = {}
    first = draw.fill(active, bindings)
    swapped = draw.chance(0.5)
    if swapped:
        bindings["person"], bindings["person2"] = bindings["person2"], bindings["person"]
    second = draw.fill(draw.choice((active, passive)) if swapped else passive, bindings)
    score = _SWAPPED_SCORE if swapped else _SAME_ENCOUNTER_SCORE
    return {"sentence1": first, "sentence2": second, "label": score}
