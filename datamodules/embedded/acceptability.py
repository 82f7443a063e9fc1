"""Sentences that are English or miss it by one point of grammar, for cola."""

import re

from datamodules.embedded.draw import Draw

_CONTRAST = re.compile(r"\[([^\[\]]*)//([^\[\]]*)\]")

_WHEN = "<today|this morning|last week|again|>"

# The left side of [acceptable//unacceptable] gives a sentence, the right side breaks it.
_FRAMES = (
    "The {person} behind the {person2:s} [is//are] <unusually|rather|extremely> {mood} <today|>.",
    "The {person:s} behind the {person2} [are//is] <unusually|rather|extremely> {mood} <today|>.",
    "The {thing:s} in the <room|corner|{venue}> [were//was] {color} and <heavy|cheap|old>.",
    "The {thing} next to the {thing2:s} [was//were] {color} and <heavy|cheap|old>.",
    "The {person} who the {person2:s} {verb:ed} [has//have] left the {venue}.",
    "The {person:s} who the {person2} {verb:ed} [have//has] left the {venue}.",
    "{woman} said that the {person:s} near the {thing} [know//knows] the {person2} very well.",
    "{man} said that the {person} near the {thing:s} [knows//know] the {person2:s} very well.",
    "{woman} thinks that {man} {verb:ed} [himself//herself] in front of the {person:s}.",
    "{man} thinks that {woman} {verb:ed} [herself//himself] in front of the {person:s}.",
    "The {person:s} in the {venue} {verb:ed} [themselves//itself] " + _WHEN + ".",
    "{man} told the {person:s} <politely|firmly|> to {verb} [themselves//himself] more often.",
    "The [{person:s}//{person}] in the {venue} {verb:ed} each other " + _WHEN + ".",
    "{woman} put the {thing} [on the table//] <before dinner|after the meeting|" + _WHEN + ">.",
    "The {person} {act:ed} [<loudly|quietly|in the corner>//the {thing}] " + _WHEN + ".",
    "{woman} [<gave|handed|offered|sent|showed>//<donated|explained|described|returned>] the "
    "{person} a {color} {thing}.",
    "{man} <avoided|enjoyed|finished|kept|suggested> [{verb:ing}//to {verb}] the {person} "
    + _WHEN
    + ".",
    "{woman} <agreed|decided|hoped|refused|promised|managed> [to {verb}//{verb:ing}] the {person} "
    + _WHEN
    + ".",
    "{woman} <persuaded|forced|convinced|encouraged> [the {person}//] to leave the {venue}.",
    "{man} <hoped|decided|agreed|tried> [//the {person}] to leave the {venue} " + _WHEN + ".",
    "Which {thing} did the {person} [say//wonder why] that {woman} had bought?",
    "What did {man} borrow [from//the {thing} from] the {person} " + _WHEN + "?",
    "Who did {woman} believe [that//the rumor that] the {person} had {verb:ed}?",
    "<Why|When|How> [did the {person} leave//the {person} did leave] the {venue} " + _WHEN + "?",
    "{woman} asked why [the {person} had//had the {person}] left the {venue} " + _WHEN + ".",
    "The {person} did not [{verb}//{verb:ed}] the {person2} " + _WHEN + ".",
    "{man} has <already|often|never> [{verb:ed}//{verb}] the {person} at the {venue}.",
    "The {person} <will|might|should> [{verb}//{verb:s}] the {person2:s} " + _WHEN + ".",
    "[No//Some] {person} has ever {verb:ed} the {person2} at the {venue}.",
    "[Nobody//Everybody] who knew {woman} had ever visited the {venue}.",
    "[No {person} that the//The {person} that no] {person2:s} trusted has ever {act:ed} here.",
    "[These//This] {thing:s} <belong|belonged> to the {person} <near|behind> the {venue}.",
    "How [many//much] {thing:s} did the {person} <buy|sell|carry> " + _WHEN + "?",
    "[Every//All] {person} <in|near> the {venue} has <met|seen> {woman} " + _WHEN + ".",
    "The {person} is [as//more] {mood} as the {person2} from {city}.",
    "The {person} seems [less//as] {mood} than the {person2} from {city}.",
    "[She//Her] and the {person} {verb:ed} the {person2} " + _WHEN + ".",
    "The {person} gave the {color} {thing} to [<him|her|them>//<he|she|they>] " + _WHEN + ".",
    "{woman} [<quickly|carefully|slowly> opened//opened <quickly|carefully|slowly>] the {color} "
    "{thing} <for the {person}|>.",
    "{man} saw the {thing} and picked [it up//up it] " + _WHEN + ".",
    "This is the {thing} that {woman} bought [//it] at the {venue} " + _WHEN + ".",
    "The {person} <relied|depended> [on//to] the {person2} " + _WHEN + ".",
    "{woman} bought a [{size} {color}//{color} {size}] {thing} at the {venue}.",
    "The {person} was [{verb:ed}//{act:ed}] by the {person2} from {city} " + _WHEN + ".",
    "{woman} {verb:ed} the {person}, [didn't she//didn't he]?",
    "Yesterday the {person} [{verb:ed}//will {verb}] the {person2} at the {venue}.",
    "The {person} [whose//who] {thing} was <stolen|broken|lost> left for {city}.",
    "There [<are|were> two//<is|was> two] {color} {thing:s} in the {venue}.",
)

_UNSEEN_FRAMES = (
    "The {person} who {verb:ed} the {person2:s} [was//were] {mood} <today|all day|>.",
    "Each of the {person:s} [talks//talk] to the {person2:s} <every day|at work>.",
    "{woman} and her {person} {verb:ed} [themselves//herself] in {city} " + _WHEN + ".",
    "{man} <denied|postponed|imagined> [{verb:ing}//to {verb}] the {person} " + _WHEN + ".",
    "{woman} <pretended|attempted|threatened> [to {verb}//{verb:ing}] the {person} " + _WHEN + ".",
    "What did the {person} [buy//buy the {thing}] at the {venue} " + _WHEN + "?",
    "The {person} wondered who [{woman} had//had {woman}] {verb:ed} at the {venue}.",
    "{man} hardly [ever//never] {verb:s} the {person} from {city}.",
    "[Many//Much] of the {person:s} have left the {venue} " + _WHEN + ".",
    "The {person} turned the {thing} off and then turned [it on//on it].",
    "The {person:s} [have//has] been {verb:ing} {woman} since {day}.",
    "The {person} made {woman} [leave//to leave] the {venue} " + _WHEN + ".",
)

_ACCEPTABLE_SHARE = 0.6


def acceptability_row(draw: Draw) -> dict[str, object]:
    """A sentence and whether it is acceptable (1) or not (0)."""
    acceptable = draw.chance(_ACCEPTABLE_SHARE)
    frame = draw.among(_FRAMES, _UNSEEN_FRAMES if draw.chance(0.5) else _FRAMES)
    template = _CONTRAST.sub(lambda pair: pair[1 if acceptable else 2], frame)
    return {"sentence": draw.fill(template), "label": int(acceptable)}
