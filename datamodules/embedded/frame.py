"""A meaning with the ways to word it."""

from dataclasses import dataclass

from datamodules.embedded.draw import Draw


@dataclass(frozen=True)
class Frame:
    """A meaning, several wordings of it and the near misses.

    Args:
        wordings: Templates over the same slots that mean the same.
        near: Templates over these slots that mean something else.
        swap: Two slots whose exchange changes the meaning, or none.
    """

    wordings: tuple[str, ...]
    near: tuple[str, ...] = ()
    swap: tuple[str, str] | None = None

    def pair(self, draw: Draw, same: bool) -> tuple[str, str]:
        """Two texts that mean the same, or two that differ in one point."""
        bindings: dict[str, str] = {}
        draw.bind(self.wordings[0], bindings)
        first, second = draw.rng.sample(self.wordings, 2)
        if same:
            return draw.fill(first, bindings), draw.fill(second, bindings)
        # Near misses reuse a wording at times, so that overlap alone does not tell the classes.
        second = first if draw.chance(0.3) else second
        return self._miss(draw, bindings, first, second)

    def _miss(
        self, draw: Draw, bindings: dict[str, str], first: str, second: str
    ) -> tuple[str, str]:
        text = draw.fill(first, bindings)
        kinds = ["slot"] + ["near"] * (2 * bool(self.near)) + ["swap"] * (2 * bool(self.swap))
        kind = draw.choice(kinds)
        if kind == "near":
            return text, draw.fill(draw.choice(self.near), bindings)
        changed = self._swapped(bindings) if kind == "swap" else _with_other_slot(draw, bindings)
        return text, draw.fill(second, changed)

    def _swapped(self, bindings: dict[str, str]) -> dict[str, str]:
        assert self.swap is not None
        one, other = self.swap
        return {**bindings, one: bindings[other], other: bindings[one]}


def _with_other_slot(draw: Draw, bindings: dict[str, str]) -> dict[str, str]:
    slot = draw.choice(sorted(bindings))
    other = draw.word(slot.rstrip("0123456789"), tuple(bindings.values()))
    return {**bindings, slot: other}
