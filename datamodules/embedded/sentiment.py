"""Opinions about films, with contrast and negation, for sst2."""

from datamodules.embedded.draw import Draw
from datamodules.embedded.sentiment_words import OPINIONS, Opinion

_FILM = "<film|movie|picture|comedy|drama|thriller|story|sequel|documentary>"
_ASPECT = "<acting|script|dialogue|plot|ending|score|camera work|pacing|cast|humor|opening>"

# `up` holds words of the label's polarity, `down` words of the opposite one: either label fits.
_FRAMES = (
    "a {up} and {up2} " + _FILM,
    "the " + _ASPECT + " is {up} from <start to finish|beginning to end>",
    "despite the {down} " + _ASPECT + ", the " + _FILM + " is {up}",
    "the " + _ASPECT + " may be {down}, but the whole is {up}",
    "the " + _ASPECT + " is <never|not at all|far from|anything but> {down}",
    "this " + _FILM + " is <hardly|never|not once> {down} and <often|always> {up}",
    "what looks {down} at first turns out to be <surprisingly|thoroughly> {up}",
    "i expected something {down} and got a {up} " + _FILM,
    "critics called it {down}, yet i found the " + _ASPECT + " {up}",
    "although the " + _ASPECT + " seems {down}, <one leaves|you leave> the theater thinking of "
    "a {up} " + _FILM,
    "more {up} than {down}, and the " + _ASPECT + " is the reason",
    "a " + _FILM + " less {down} than {up}",
    "<it would be wrong|it is unfair> to call this {up2} " + _FILM + " {down}",
    "{verdict}",
    "the " + _ASPECT + " is {down}, <and still|even so> {verdict}",
    "with a {up} " + _ASPECT + ", {verdict}",
    "{verdict} , <though|even if> the " + _ASPECT + " is {down}",
    "the {up} " + _ASPECT + " and the {up2} " + _ASPECT + " say it all",
    "so {up} that <you forget|one overlooks> the {down} " + _ASPECT,
    "unlike the {down} <original|first part|trailer>, this " + _FILM + " is {up}",
    "the " + _ASPECT + " could not be more {up}",
)

_UNSEEN_FRAMES = (
    "whoever calls the " + _ASPECT + " {down} has not noticed how {up} it is",
    "the " + _FILM + " stops being {down} and becomes {up} after ten minutes",
    "nothing about the " + _ASPECT + " is {down}",
    "it trades the {down} " + _ASPECT + " of the book for something {up}",
    "too {up} to be called {down}",
)

# Polarity comes from the verb here: the words alone would mislead.
_PRAISE_FRAMES = (
    "not even the {bad} " + _ASPECT + " can <spoil|ruin> this {good} " + _FILM,
    "the {good} " + _ASPECT + " <saves|rescues|redeems> a {bad} script",
    "the " + _ASPECT + " never lapses into anything {bad}",
    "a {good} " + _ASPECT + " makes up for the {bad} " + _ASPECT,
)
_BLAME_FRAMES = (
    "not even the {good} " + _ASPECT + " can <save|redeem> this {bad} " + _FILM,
    "the {bad} " + _ASPECT + " <spoils|ruins|sinks> a {good} script",
    "the " + _ASPECT + " never rises to anything {good}",
    "it could have been {good} if the " + _ASPECT + " were not so {bad}",
    "the " + _FILM + " wants to be {good} but lacks the " + _ASPECT + " for it",
    "a {good} " + _ASPECT + " is wasted on a {bad} " + _FILM,
)


def sentiment_row(draw: Draw) -> dict[str, object]:
    """An opinion and whether it is positive (1) or negative (0)."""
    label = int(draw.chance(0.52))
    frame = _frame(draw, label)
    good, bad = OPINIONS["positive"], OPINIONS["negative"]
    up, down = (good, bad) if label else (bad, good)
    bindings = {
        **_adjectives(draw, ("up", "up2"), up),
        **_adjectives(draw, ("down",), down),
        **_adjectives(draw, ("good",), good),
        **_adjectives(draw, ("bad",), bad),
        "verdict": draw.among(up.verdicts, up.unseen_verdicts),
    }
    return {"sentence": draw.fill(frame, bindings).lower(), "label": label}


def _frame(draw: Draw, label: int) -> str:
    if draw.chance(0.25):
        return draw.choice(_PRAISE_FRAMES if label else _BLAME_FRAMES)
    return draw.among(_FRAMES, _UNSEEN_FRAMES if draw.chance(0.4) else _FRAMES)


def _adjectives(draw: Draw, slots: tuple[str, ...], opinion: Opinion) -> dict[str, str]:
    words: list[str] = []
    while len(words) < len(slots):
        word = draw.among(opinion.adjectives, opinion.unseen_adjectives)
        if word not in words:
            words.append(word)
    return dict(zip(slots, words, strict=True))
