"""Questions with a sentence that answers them or only looks as if, for qnli."""

from datamodules.embedded.draw import Draw
from datamodules.embedded.question_domains import DOMAINS, UNSEEN_DOMAINS, Fact

_NUM_FACTS = 3
_ORDERS = (
    "{entity} {0}, {1} and {2}.",
    "{entity}, which {0}, {1} and {2}.",
    "As local guides like to tell, {entity} {0}, {1} and {2}.",
    "Like many others of its kind, {entity} {0} and {1}; it also {2}.",
    "Today {entity}, which {0} and {1}, is best known because it {2}.",
)


def question_answer_row(draw: Draw) -> dict[str, object]:
    """A question, a sentence and 0 (the sentence answers it) or 1 (it does not)."""
    domain = draw.among(DOMAINS, UNSEEN_DOMAINS)
    facts = draw.rng.sample(domain.facts, len(domain.facts))
    told, untold = facts[:_NUM_FACTS], facts[_NUM_FACTS:]
    bindings: dict[str, str] = {}
    entity = draw.fill(domain.entity, bindings)
    answered = draw.chance(0.5)
    about_other = not answered and draw.chance(0.3)
    asked = draw.choice(told if answered or about_other else _nearest(told, untold))
    subject = draw.fill(domain.entity) if about_other else entity
    return {
        "question": draw.fill(draw.choice(asked.questions), {"entity": _inside(subject)}),
        "sentence": _sentence(draw, _inside(entity), told, bindings),
        "label": int(not answered or subject != entity),
    }


# What the sentence leaves out is asked for if it can be mistaken for something told: another
# year, another person, another number.
def _nearest(told: list[Fact], untold: list[Fact]) -> list[Fact]:
    kinds = {fact.answer for fact in told}
    return [fact for fact in untold if fact.answer in kinds] or untold


def _inside(entity: str) -> str:
    return entity[:1].lower() + entity[1:]


def _sentence(draw: Draw, entity: str, facts: list[Fact], bindings: dict[str, str]) -> str:
    clauses = [_inside(draw.fill(draw.choice(fact.clauses), bindings)) for fact in facts]
    return draw.fill(draw.choice(_ORDERS).format(*clauses, entity=entity))
