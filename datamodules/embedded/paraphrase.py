"""Pairs that mean the same or miss it by one point, for mrpc (news) and qqp (questions)."""

from datamodules.embedded.draw import Draw
from datamodules.embedded.frame import Frame
from datamodules.embedded.news_frames import NEWS, UNSEEN_NEWS
from datamodules.embedded.question_frames import QUESTIONS, UNSEEN_QUESTIONS

# The shares of the original corpora, mrpc's brought a little nearer to the half.
_EQUIVALENT_SHARE = 0.62
_DUPLICATE_SHARE = 0.42


def news_paraphrase_row(draw: Draw) -> dict[str, object]:
    """Two news sentences and whether they report the same (1) or not (0)."""
    same = draw.chance(_EQUIVALENT_SHARE)
    first, second = _frame(draw, NEWS, UNSEEN_NEWS).pair(draw, same)
    return {"sentence1": first, "sentence2": second, "label": int(same)}


def question_paraphrase_row(draw: Draw) -> dict[str, object]:
    """Two questions and whether one answer serves both (1) or not (0)."""
    same = draw.chance(_DUPLICATE_SHARE)
    first, second = _frame(draw, QUESTIONS, UNSEEN_QUESTIONS).pair(draw, same)
    return {"question1": first, "question2": second, "label": int(same)}


def _frame(draw: Draw, known: tuple[Frame, ...], unseen: tuple[Frame, ...]) -> Frame:
    # A frame brings all of its words: a third of unseen ones is as hard as it should get.
    return draw.among(known, unseen if draw.chance(0.5) else known)
