"""Longer premises with hypotheses in two classes, for rte."""

from datamodules.embedded.draw import Draw
from datamodules.embedded.inference_topics import INFERENCES, UNSEEN_INFERENCES
from datamodules.embedded.news_frames import NEWS, UNSEEN_NEWS

_NEWS_SHARE = 0.2
# Oppositions take longest to learn; most of what does not follow differs in a name or a thing.
_OTHER_SLOT_SHARE = 0.65
_FIRST, _SECOND = "{news} {premise}", "{premise} {news}"


def inference_row(draw: Draw) -> dict[str, object]:
    """A text, a hypothesis and 0 (entailed by the text) or 1 (not entailed)."""
    entailed = draw.chance(0.5)
    # A topic brings all of its words: a fifth of unseen ones is as hard as it should get.
    unseen = UNSEEN_INFERENCES if draw.chance(0.35) else INFERENCES
    premise, hypothesis = draw.among(INFERENCES, unseen).pair(draw, entailed, _OTHER_SLOT_SHARE)
    return {
        "sentence1": _with_news(draw, premise),
        "sentence2": hypothesis,
        "label": int(not entailed),
    }


def _with_news(draw: Draw, premise: str) -> str:
    # The news is about others: what decides has to be found among what does not.
    if not draw.chance(_NEWS_SHARE):
        return premise
    frame = draw.among(NEWS, UNSEEN_NEWS)
    news = draw.fill(draw.choice(frame.wordings))
    return draw.choice((_FIRST, _SECOND)).format(news=news, premise=premise)
