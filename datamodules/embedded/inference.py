"""Longer premises with hypotheses in two classes, for rte."""

from datamodules.embedded.case import CONTRADICTION, ENTAILMENT, NEUTRAL
from datamodules.embedded.draw import Draw
from datamodules.embedded.entailment import entailment_row
from datamodules.embedded.news_frames import NEWS, UNSEEN_NEWS

_NEWS_SHARE = 0.4
_FIRST, _SECOND = "{news} {premise}", "{premise} {news}"


def inference_row(draw: Draw) -> dict[str, object]:
    """A text, a hypothesis and 0 (entailed by the text) or 1 (not entailed)."""
    not_entailed = draw.chance(0.5)
    wanted = (NEUTRAL, CONTRADICTION) if not_entailed else (ENTAILMENT,)
    row = entailment_row(draw)
    while row["label"] not in wanted:
        row = entailment_row(draw)
    return {
        "sentence1": _with_news(draw, str(row["premise"])),
        "sentence2": row["hypothesis"],
        "label": int(not_entailed),
    }


def _with_news(draw: Draw, premise: str) -> str:
    # The news is about others: what decides has to be found among what does not.
    if not draw.chance(_NEWS_SHARE):
        return premise
    frame = draw.among(NEWS, UNSEEN_NEWS)
    news = draw.fill(draw.choice(frame.wordings))
    return draw.choice((_FIRST, _SECOND)).format(news=news, premise=premise)
