"""Things one can ask about, with facts and the questions that each fact answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One fact about a thing.

    Args:
        answer: The kind of answer: person, year, number, place or other.
        clauses: Templates of a clause whose subject is the thing.
        questions: Templates of questions about `{entity}` that the clause answers.
    """

    answer: str
    clauses: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """A kind of thing: the template of its name and its facts, four at the least."""

    entity: str
    facts: tuple[Fact, ...]


_OPENED = Fact(
    "year",
    ("opened in {year}", "welcomed its first <guests|visitors> in {year}"),
    ("When did {entity} open?", "In what year was {entity} opened to the public?"),
)
_REPAIRED = Fact(
    "year",
    ("was repaired in {year2}", "was closed for repairs in {year2}"),
    ("When was {entity} repaired?", "In what year was {entity} under repair?"),
)
_DESIGNED = Fact(
    "person",
    ("was designed by {man} {surname2}", "was built after the plans of {man} {surname2}"),
    ("Who designed {entity}?", "Which expert drew the plans of {entity}?"),
)
_PAID = Fact(
    "person",
    ("was paid for by {woman} {surname3}", "owes its money to {woman} {surname3}"),
    ("Who paid for {entity}?", "Who gave the money for {entity}?"),
)
_OWNED = Fact(
    "other",
    ("belongs to {company}", "is the property of {company}"),
    ("Who is the owner of {entity}?", "Which company does {entity} belong to?"),
)
_NAMED = Fact(
    "person",
    ("was named in honor of {man2} {surname4}", "got its name from {man2} {surname4}"),
    ("Who is {entity} named after?", "Whose name does {entity} bear?"),
)
_STAFF = Fact(
    "number",
    ("employs {number} people", "has a staff of {number}"),
    ("How many people work for {entity}?", "What is the number of employees of {entity}?"),
)
_COST = Fact(
    "number",
    ("cost {number2} million dollars", "was finished at a price of {number2} million dollars"),
    ("How much did {entity} cost?", "What was the price of {entity}?"),
)
_FAME = Fact(
    "other",
    ("is famous for its {color} {thing:s}", "draws crowds with its {color} {thing:s}"),
    ("What is {entity} famous for?", "What do people come to see at {entity}?"),
)
_PLACE = Fact(
    "place",
    ("stands <near|outside> {city}", "is found <close to|not far from> {city}"),
    ("Where is {entity}?", "Near which city does {entity} lie?"),
)
_RIVER = Fact(
    "place",
    ("links {city2} with {city3}", "lies on the road from {city2} to {city3}"),
    ("Which cities does {entity} connect?", "Between which two cities is {entity} situated?"),
)
_LENGTH = Fact(
    "number",
    ("measures {number3} meters from end to end", "is {number3} meters long"),
    ("How long is {entity}?", "What is the length of {entity}?"),
)
_FOUNDED = Fact(
    "year",
    ("was founded in {year3}", "goes back to the year {year3}"),
    ("When was {entity} founded?", "In which year did {entity} come into being?"),
)
_HEAD = Fact(
    "person",
    ("is headed by {woman2} {surname5}", "has had {woman2} {surname5} at its top for years"),
    ("Who is the head of {entity}?", "Who runs {entity}?"),
)
_MOVED = Fact(
    "place",
    ("moved to {city4} later", "left its first home for {city4}"),
    ("Where did {entity} move?", "What is the present home of {entity}?"),
)
_FIRE = Fact(
    "year",
    ("burned down in {year4}", "was destroyed by a fire in {year4}"),
    ("When did {entity} burn down?", "In what year did fire destroy {entity}?"),
)
_SEATS = Fact(
    "number",
    ("has {number4} rooms", "offers visitors a walk through {number4} rooms"),
    ("How many rooms are there in {entity}?", "What is the number of rooms of {entity}?"),
)
_PRIZE = Fact(
    "other",
    ("won a prize for its {dish}", "was given an award for its {dish}"),
    ("For what did {entity} win a prize?", "What was {entity} given an award for?"),
)
_SOLD = Fact(
    "year",
    ("was sold in {year5}", "changed hands in {year5}"),
    ("When was {entity} sold?", "In which year did {entity} get a new owner?"),
)

DOMAINS = (
    Domain(
        "The {surname} <Bridge|Tunnel>",
        (_OPENED, _REPAIRED, _DESIGNED, _PAID, _NAMED, _COST, _RIVER, _LENGTH),
    ),
    Domain(
        "The {surname} Museum",
        (_OPENED, _REPAIRED, _DESIGNED, _PAID, _NAMED, _STAFF, _FAME, _PLACE, _SEATS, _HEAD),
    ),
    Domain(
        "The {surname} <School|Institute>",
        (_FOUNDED, _MOVED, _HEAD, _NAMED, _STAFF, _FIRE, _PAID, _SEATS),
    ),
    Domain(
        "The {surname} Hotel",
        (_OPENED, _OWNED, _SEATS, _PRIZE, _FIRE, _PLACE, _DESIGNED, _STAFF),
    ),
)

UNSEEN_DOMAINS = (
    Domain(
        "The {surname} <Brewery|Dairy>",
        (_FOUNDED, _SOLD, _OWNED, _HEAD, _STAFF, _PRIZE, _MOVED, _NAMED),
    ),
    Domain(
        "The {surname} <Tower|Castle>",
        (_OPENED, _SOLD, _FIRE, _COST, _DESIGNED, _PAID, _FAME, _PLACE),
    ),
)
