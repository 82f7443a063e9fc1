"""Pronouns that one clue word resolves, for wnli."""

from datamodules.embedded.draw import Draw
from datamodules.embedded.pronoun_schemas import SCHEMAS, UNSEEN_SCHEMAS

# Each of these gives a first hold: with names only, pronouns only and both roles alike, the label
# is an exclusive or of clue and candidate, and fine-tuned encoders stayed at chance.
_SECOND_SHARE = 0.65
_NAMED_SHARE = 0.25

_GENDERS = {"woman": "she", "man": "he"}
_OPENINGS = ("", "On {day}, ", "Last year, ", "In {city}, ", "As we know, ")


def pronoun_row(draw: Draw) -> dict[str, object]:
    """A text with a pronoun, the text with a name in its place, and whether that holds (1)."""
    schema = draw.among(SCHEMAS, UNSEEN_SCHEMAS if draw.chance(0.5) else SCHEMAS)
    people = _people(draw)
    about_first, label = not draw.chance(_SECOND_SHARE), draw.chance(0.5)
    clue = draw.choose(draw.choice(schema.first if about_first else schema.second))
    meant, other = ("a", "b") if about_first else ("b", "a")
    subject = people[meant] if draw.chance(_NAMED_SHARE) else people["pronoun"]
    sentence = f"{draw.choice(_OPENINGS)}{schema.text} {subject} {clue}."
    return {
        "sentence1": draw.fill(sentence, people),
        "sentence2": draw.fill(f"{people[meant if label else other]} {clue}.", people),
        "label": int(label),
    }


def _people(draw: Draw) -> dict[str, str]:
    gender = draw.choice(sorted(_GENDERS))
    first = _somebody(draw, gender, ())
    second = _somebody(draw, gender, (first,))
    return {"a": first, "b": second, "pronoun": _GENDERS[gender]}


def _somebody(draw: Draw, gender: str, taken: tuple[str, ...]) -> str:
    while True:
        person = draw.word(gender) if draw.chance(0.5) else f"the {draw.word('person')}"
        if person not in taken:
            return person
