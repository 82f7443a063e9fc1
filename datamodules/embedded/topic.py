"""States of the same affairs, for pairs whose label neither text gives away."""

from dataclasses import dataclass

from datamodules.embedded.draw import Draw, slots

# Fewer than ten is also fewer than eleven: another number need not be another claim.
_VAGUE_KINDS = ("low", "mid", "high")


@dataclass(frozen=True)
class State:
    """One way things can be.

    Args:
        premises: Templates that describe it.
        hypotheses: Templates over the same slots that follow from each premise; without any, the
            premises are wordings of each other.
    """

    premises: tuple[str, ...]
    hypotheses: tuple[str, ...] = ()

    def hypothesis(self, draw: Draw, premise: int) -> str:
        """A hypothesis, or a wording other than that of the number `premise`."""
        others = self.premises[:premise] + self.premises[premise + 1 :]
        return draw.choose(draw.choice(self.hypotheses or others))


@dataclass(frozen=True)
class Topic:
    """States over the same slots with the same number of premises.

    Each premise and each hypothesis is as frequent in the pairs that match as in those that do
    not, so only the two together tell the label.

    Args:
        states: The states; what follows from one does not follow from any other.
    """

    states: tuple[State, ...]

    def pair(self, draw: Draw, same: bool, other_slot_share: float) -> tuple[str, str]:
        """A premise and a hypothesis that follows from it, or one that does not.

        What does not follow has another filler in one slot in the share `other_slot_share` of
        the pairs and comes from another state in the rest.
        """
        state = draw.choice(self.states)
        number = draw.rng.randrange(len(state.premises))
        first, bindings = draw.choose(state.premises[number]), dict[str, str]()
        premise = draw.fill(first, bindings)
        if same:
            return premise, draw.fill(state.hypothesis(draw, number), bindings)
        if draw.chance(other_slot_share):
            second = state.hypothesis(draw, number)
            return premise, draw.fill(second, _with_other_slot(draw, bindings, first, second))
        other = draw.choice([one for one in self.states if one is not state])
        return premise, draw.fill(other.hypothesis(draw, number), bindings)


def directed(
    one: str, two: str, premises: tuple[str, ...], hypotheses: tuple[str, ...] = ()
) -> Topic:
    """The topic of a state and of the same one with two slots exchanged: who did it to whom."""

    def exchanged(texts: tuple[str, ...]) -> tuple[str, ...]:
        marked = (text.replace(f"{{{one}}}", "\0").replace(f"{{{two}}}", "\1") for text in texts)
        return tuple(t.replace("\0", f"{{{two}}}").replace("\1", f"{{{one}}}") for t in marked)

    return Topic((State(premises, hypotheses), State(exchanged(premises), exchanged(hypotheses))))


def _with_other_slot(
    draw: Draw, bindings: dict[str, str], first: str, second: str
) -> dict[str, str]:
    kinds = {slot: slot.rstrip("0123456789") for slot in slots(first) if slot in slots(second)}
    slot = draw.choice([slot for slot, kind in kinds.items() if kind not in _VAGUE_KINDS])
    return {**bindings, slot: draw.word(kinds[slot], tuple(bindings.values()))}
