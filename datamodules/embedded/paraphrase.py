"""Pairs that mean the same or miss it by one point, for mrpc (news) and qqp (questions)."""

from collections.abc import Sequence
from typing import TypeVar

from datamodules.embedded.draw import Draw
from datamodules.embedded.news_frames import NEWS, UNSEEN_NEWS
from datamodules.embedded.question_topics import QUESTIONS, UNSEEN_QUESTIONS

# The shares of the original corpora, mrpc's brought a little nearer to the half.
_EQUIVALENT_SHARE = 0.62
_DUPLICATE_SHARE = 0.42

# Another filler is one more word that differs; seldom enough, so that overlap tells little.
_OTHER_SLOT_SHARE = 0.25

T = TypeVar("T")


def news_paraphrase_row(draw: Draw) -> dict[str, object]:
    """Two news sentences and whether they report the same (1) or not (0)."""
    same = draw.chance(_EQUIVALENT_SHARE)
    first, second = _known_or_unseen(draw, NEWS, UNSEEN_NEWS).pair(draw, same)
    return {"sentence1": first, "sentence2": second, "label": int(same)}


def question_paraphrase_row(draw: Draw) -> dict[str, object]:
    """Two questions and whether one answer serves both (1) or not (0)."""
    same = draw.chance(_DUPLICATE_SHARE)
    first, second = _known_or_unseen(draw, QUESTIONS, UNSEEN_QUESTIONS).pair(
        draw, same, _OTHER_SLOT_SHARE
    )
    return {"question1": first, "question2": second, "label": int(same)}


def _known_or_unseen(draw: Draw, known: Sequence[T], unseen: Sequence[T]) -> T:
    # A frame or topic brings all of its words: a third of unseen ones is as hard as it should get.
    return draw.among(known, unseen if draw.chance(0.5) else known)
