"""Random choices for the sentences of one split."""

import random
import re
from collections.abc import Sequence
from typing import TypeVar

from datamodules.embedded.morphology import inflect, polish
from datamodules.embedded.vocabulary import POOLS

T = TypeVar("T")

_CHOICE = re.compile(r"<([^<>]*)>")
_SLOT = re.compile(r"\{([a-z]+)(\d?)(?::([a-z]+))?\}")

# Above a half, so that most evaluation sentences hold an unseen word in some slot; below one, so
# that the score also shows what was learned from the words of training.
_HELD_OUT_SHARE = 0.6


class Draw:
    """Draws fillers and fills templates for one split.

    A template holds slots `{kind}`, `{kind2}` (another filler of the kind) and `{kind:form}`
    (inflected), and free choices `<one|other>`.

    Args:
        rng: The source of randomness.
        part: `train`, `held_out` (adds the unseen fillers) or `mismatched` (other fillers).
    """

    def __init__(self, rng: random.Random, part: str) -> None:
        self.rng = rng
        self.part = part

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return self.rng.choice(options)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.rng.random() < probability

    def among(self, train: Sequence[T], held_out: Sequence[T]) -> T:
        """One of `train`; outside the training split often one of `held_out` instead."""
        unseen = self.part != "train" and self.chance(_HELD_OUT_SHARE)
        return self.choice(held_out if unseen else train)

    def word(self, kind: str, exclude: Sequence[str] = ()) -> str:
        """A filler of the kind that is not in `exclude`."""
        pool = POOLS[kind]
        known = pool.part("mismatched" if self.part == "mismatched" else "train")
        unseen = pool.part("mismatched" if self.part == "mismatched" else "held_out")
        while True:
            word = self.among(known, unseen)
            if word not in exclude:
                return word

    def bind(self, template: str, bindings: dict[str, str]) -> None:
        """Adds to `bindings` a filler for each slot of the template that has none yet."""
        for kind, index, _ in _SLOT.findall(template):
            if kind + index not in bindings:
                bindings[kind + index] = self.word(kind, tuple(bindings.values()))

    def fill(self, template: str, bindings: dict[str, str] | None = None) -> str:
        """The template as a sentence; slots keep the fillers `bindings` has and add theirs."""
        bound = {} if bindings is None else bindings
        text = self.choose(template)
        self.bind(text, bound)
        return polish(_SLOT.sub(lambda slot: inflect(bound[slot[1] + slot[2]], slot[3]), text))

    def choose(self, template: str) -> str:
        """The template with its free choices made."""
        while _CHOICE.search(template):
            template = _CHOICE.sub(lambda match: self.choice(match[1].split("|")), template)
        return template


def slots(template: str) -> list[str]:
    """The slots of a template without free choices, in order, each once."""
    return list(dict.fromkeys(kind + index for kind, index, _ in _SLOT.findall(template)))
