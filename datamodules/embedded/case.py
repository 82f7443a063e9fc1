"""A premise with what follows from it and what does not."""

from dataclasses import dataclass

from datamodules.embedded.draw import Draw

ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)


@dataclass(frozen=True)
class Case:
    """A premise and hypotheses over the same slots.

    Args:
        premise: The template of the premise.
        entailed: Templates that follow from it.
        neutral: Templates that it leaves open.
        contradicted: Templates that it excludes.
    """

    premise: str
    entailed: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()

    def texts(self, draw: Draw, label: int) -> tuple[str, str] | None:
        """Premise and hypothesis of the label, or None where the case has no such hypothesis."""
        hypotheses = (self.entailed, self.neutral, self.contradicted)[label]
        if not hypotheses:
            return None
        bindings: dict[str, str] = {}
        premise = draw.fill(self.premise, bindings)
        return premise, draw.fill(draw.choice(hypotheses), bindings)
