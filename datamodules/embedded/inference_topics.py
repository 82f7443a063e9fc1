"""Topics of the rte task: states of things and what follows from each."""

from datamodules.embedded.topic import State, Topic, directed


def _opposed(
    premises: tuple[str, ...],
    hypotheses: tuple[str, ...],
    other_premises: tuple[str, ...],
    other_hypotheses: tuple[str, ...],
) -> Topic:
    return Topic((State(premises, hypotheses), State(other_premises, other_hypotheses)))


INFERENCES = (
    _opposed(
        (
            "The {person} is asleep in a tent <near {city}|behind the {venue}>.",
            "Snoring loudly, the {person} lies on a bench <in {city}|behind the {venue}>.",
        ),
        ("The {person} is sleeping.", "The {person} is not awake at the moment."),
        (
            "The {person} is telling jokes to the guests <in {city}|behind the {venue}>.",
            "The {person} is awake and reads a book on a bench <in {city}|behind the {venue}>.",
        ),
        ("The {person} is awake at the moment.", "The {person} is not sleeping."),
    ),
    _opposed(
        (
            "{woman} is swimming <across|in> the lake near {city}.",
            "{woman} is diving for shells in the sea near {city}.",
        ),
        ("{woman} is in the water.", "{woman} is getting wet near {city}."),
        (
            "{woman} is riding a camel through the desert near {city}.",
            "{woman} is sitting by the fire in a mountain hut near {city}.",
        ),
        ("{woman} is on dry land.", "{woman} is not in the water near {city}."),
    ),
    _opposed(
        (
            "{woman} locked the door of the {venue} <at midnight|on {day}>.",
            "Before the storm {woman} shut the door of the {venue} and bolted it.",
        ),
        ("{woman} closed the door of the {venue}.", "The door of the {venue} was shut."),
        (
            "{woman} left the door of the {venue} wide open <at midnight|on {day}>.",
            "{woman} went home without closing the door of the {venue}.",
        ),
        ("{woman} did not close the door of the {venue}.", "The door of the {venue} was open."),
    ),
    _opposed(
        (
            "It is snowing <heavily|all day> in {city}.",
            "The river in {city} is frozen and children skate on the ice.",
        ),
        ("It is cold in {city}.", "People need a winter coat in {city}."),
        (
            "It is a hot summer day in {city}.",
            "The sun burns on {city} and the beaches are full.",
        ),
        ("It is warm in {city}.", "Nobody needs a winter coat in {city}."),
    ),
    _opposed(
        (
            "{man} won the race in {city} by a second.",
            "In the race in {city} nobody was as fast as {man}.",
        ),
        ("{man} came in first in {city}.", "{man} was the winner of the race."),
        (
            "{man} lost the race in {city} by a second.",
            "In the race in {city} everybody was faster than {man}.",
        ),
        ("{man} did not come in first in {city}.", "{man} was not the winner of the race."),
    ),
    Topic(
        (
            State(
                ("{woman} came to the {venue} on foot.", "{woman} strolled to the {venue}."),
                ("{woman} walked to the {venue}.", "{woman} used her feet to get to the {venue}."),
            ),
            State(
                ("{woman} drove to the {venue}.", "{woman} took her new car to the {venue}."),
                ("{woman} went to the {venue} by car.", "{woman} sat in a car to the {venue}."),
            ),
            State(
                ("{woman} sailed to the {venue}.", "{woman} took a ferry to the {venue}."),
                ("{woman} went to the {venue} by boat.", "{woman} used a ship to the {venue}."),
            ),
        )
    ),
    _opposed(
        (
            "{man} and {woman} got married in {city} <in {month}|on a {day}>.",
            "The wedding of {man} and {woman} was held in {city}.",
        ),
        ("{man} became the husband of {woman}.", "{woman} married {man}."),
        (
            "{man} and {woman} got divorced in {city} <in {month}|on a {day}>.",
            "The marriage of {man} and {woman} was ended by a court in {city}.",
        ),
        ("{man} is no longer the husband of {woman}.", "{woman} and {man} separated."),
    ),
    _opposed(
        (
            "The {person} spilled coffee on the {color} {thing}.",
            "The {person} forgot the {color} {thing} in the rain.",
        ),
        ("The {thing} got wet.", "The {color} {thing} did not stay dry."),
        (
            "The {person} protected the {color} {thing} from the rain, so no water touched it.",
            "No coffee was spilled on the {color} {thing}, which the {person} kept dry.",
        ),
        ("The {thing} did not get wet.", "The {color} {thing} stayed dry."),
    ),
    _opposed(
        (
            "{woman} has been a vegetarian since she lived in {city}.",
            "Ever since she lived in {city}, {woman} has refused to touch meat.",
        ),
        ("{woman} does not eat beef.", "{woman} lives on food without meat."),
        (
            "{woman} orders a steak whenever she is in {city}.",
            "{woman} has cooked beef for dinner every day since she lived in {city}.",
        ),
        ("{woman} eats beef.", "{woman} is no vegetarian."),
    ),
    directed(
        "man",
        "man2",
        (
            "{man} sold the house in {city} to {man2}.",
            "{man2} paid {man} for the house in {city}.",
        ),
        ("{man2} bought the house from {man}.", "{man} got money from {man2} for the house."),
    ),
    _opposed(
        (
            "{man} paid the {person} back everything he owed.",
            "{man} returned all of the borrowed money to the {person}.",
        ),
        ("{man} owes the {person} nothing.", "The {person} got the money back from {man}."),
        (
            "{man} has not paid the {person} a cent of what he owes.",
            "{man} keeps all of the money that he borrowed from the {person}.",
        ),
        ("{man} still owes the {person} money.", "The {person} got nothing back from {man}."),
    ),
    _opposed(
        (
            "{man} quit his job at the {venue} in {month}.",
            "The {venue} fired {man} in {month}.",
        ),
        ("{man} no longer works at the {venue}.", "{man} left the staff of the {venue}."),
        (
            "{man} started his new job at the {venue} in {month}.",
            "The {venue} hired {man} in {month}.",
        ),
        ("{man} now works at the {venue}.", "{man} joined the staff of the {venue}."),
    ),
    _opposed(
        (
            "The {venue} in {city} was empty when {man} came in.",
            "There was not a soul at the {venue} in {city} when {man} came in.",
        ),
        ("Nobody was at the {venue}.", "{man} was alone at the {venue}."),
        (
            "The {venue} in {city} was full of guests when {man} came in.",
            "A large crowd was at the {venue} in {city} when {man} came in.",
        ),
        ("Many people were at the {venue}.", "{man} was not alone at the {venue}."),
    ),
    _opposed(
        (
            "The {person} kept the plan secret from {man}.",
            "The {person} hid the whole plan from {man}.",
        ),
        ("{man} did not hear of the plan.", "The {person} told {man} nothing of the plan."),
        (
            "The {person} explained the plan to {man}.",
            "The {person} told {man} every detail of the plan.",
        ),
        ("{man} heard of the plan.", "The {person} let {man} know the plan."),
    ),
    directed(
        "thing",
        "thing2",
        (
            "The {thing} costs twice as much as the {thing2}.",
            "The price of the {thing} is far above the price of the {thing2}.",
        ),
        (
            "The {thing2} is cheaper than the {thing}.",
            "The {thing} is more expensive than the {thing2}.",
        ),
    ),
    _opposed(
        (
            "The {person} <sold|lost|repaired> {low} {thing:s} <on {day}|in {month}>.",
            "In {city} the {person} counted {low} {thing:s}.",
        ),
        (
            "The number of {thing:s} was smaller than {mid}.",
            "There were fewer than {mid} {thing:s}.",
        ),
        (
            "The {person} <sold|lost|repaired> {high} {thing:s} <on {day}|in {month}>.",
            "In {city} the {person} counted {high} {thing:s}.",
        ),
        (
            "The number of {thing:s} was greater than {mid}.",
            "There were more than {mid} {thing:s}.",
        ),
    ),
    _opposed(
        (
            "{woman} left the {venue} <long|shortly> before {man} arrived.",
            "When {man} came to the {venue}, {woman} had already gone home.",
        ),
        (
            "{man} came to the {venue} too late to meet {woman}.",
            "{woman} was not at the {venue} when {man} came.",
        ),
        (
            "{woman} stayed at the {venue} until <long|shortly> after {man} arrived.",
            "When {man} came to the {venue}, {woman} was still waiting for him.",
        ),
        (
            "{man} came to the {venue} in time to meet {woman}.",
            "{woman} was at the {venue} when {man} came.",
        ),
    ),
    directed(
        "man",
        "man3",
        (
            "{man} is taller than {man2}, and {man2} is taller than {man3}.",
            "{man} is taller than {man3}, who works at the {venue}.",
        ),
        ("{man} is taller than {man3}.", "{man3} is shorter than {man}."),
    ),
    _opposed(
        (
            "{woman} <managed|remembered|did not forget> to {verb} the {person} <on {day}|at the "
            "{venue}>.",
            "{man} <knows|realized|is glad> that {woman} {verb:ed} the {person}.",
        ),
        ("{woman} {verb:ed} the {person}.", "The {person} was {verb:ed} by {woman}."),
        (
            "{woman} <failed|forgot|did not manage|refused> to {verb} the {person} <on {day}|at "
            "the {venue}>.",
            "{man} <knows|realized|is glad> that {woman} did not {verb} the {person}.",
        ),
        ("{woman} did not {verb} the {person}.", "The {person} was not {verb:ed} by {woman}."),
    ),
    Topic(
        (
            State(
                (
                    "Every {person} <in|near> the {venue} {act:ed}.",
                    "All of the {person:s} at the {venue} {act:ed}.",
                ),
                (
                    "Every {mood} {person} at the {venue} {act:ed}.",
                    "There was no {person} at the {venue} who did not {act}.",
                ),
            ),
            State(
                (
                    "No {person} <in|near> the {venue} {act:ed}.",
                    "None of the {person:s} at the {venue} {act:ed}.",
                ),
                (
                    "No {mood} {person} at the {venue} {act:ed}.",
                    "There was no {person} at the {venue} who {act:ed}.",
                ),
            ),
        )
    ),
    directed(
        "person",
        "person2",
        (
            "The {person} {verb:ed} the {person2} <at|near|in front of> the {venue}.",
            "It was the {person} who {verb:ed} the {person2} <on {day}|in {city}>.",
        ),
        (
            "The {person2} was {verb:ed} by the {person}.",
            "The one who {verb:ed} the {person2} was the {person}.",
        ),
    ),
    _opposed(
        (
            "{woman} bought a {size} {color} {thing} at the {venue}.",
            "At the {venue} {woman} paid for a {color} {thing} and took it home.",
        ),
        ("{woman} purchased a {color} {thing}.", "{woman} got a {thing} at the {venue}."),
        (
            "{woman} sold her {size} {color} {thing} at the {venue}.",
            "At the {venue} {woman} lost her {color} {thing} and never found it again.",
        ),
        ("{woman} no longer has her {color} {thing}.", "{woman} had a {thing} before."),
    ),
    directed(
        "woman",
        "woman2",
        (
            "{woman} lent {woman2} some money <on {day}|in {city}>.",
            "{woman} gave {woman2} a loan for a {thing}.",
        ),
        ("{woman2} borrowed money from {woman}.", "{woman2} owed money to {woman}."),
    ),
    _opposed(
        (
            "{woman} was born in {city} and has never left it.",
            "{woman} has spent every day of her life in {city}.",
        ),
        ("{woman} has always lived in {city}.", "{woman} has not moved away from {city}."),
        (
            "{woman} was born in {city} but left it as a child.",
            "{woman} gave up her home in {city} and went abroad.",
        ),
        ("{woman} does not live in {city} any more.", "{woman} has moved away from {city}."),
    ),
    _opposed(
        (
            "The last train to {city} has already left.",
            "All trains to {city} were canceled after the storm on {day}.",
        ),
        ("No more trains go to {city}.", "One cannot take a train to {city} now."),
        (
            "The next train to {city} will leave in {mid} minutes.",
            "The trains to {city} run again after the storm on {day}.",
        ),
        ("Trains still go to {city}.", "One can take a train to {city} now."),
    ),
    directed(
        "woman",
        "man",
        (
            "{woman} teaches {man} {skill} <in {city}|at the {venue}>.",
            "{woman} gives {man} lessons in {skill}.",
        ),
        ("{man} learns {skill} from {woman}.", "{man} is a pupil of {woman}."),
    ),
    _opposed(
        (
            "The {person} has recovered from {illness}.",
            "The {person} got over {illness} and returned to the {venue}.",
        ),
        ("The {person} is healthy again.", "The {person} is not ill any more."),
        (
            "The {person} is suffering from {illness}.",
            "The {person} has {illness} and cannot come to the {venue}.",
        ),
        ("The {person} is not healthy.", "The {person} is still ill."),
    ),
    _opposed(
        (
            "The {person}'s {device} broke down in {month}.",
            "The {device} of the {person} is out of order again.",
        ),
        ("The {person}'s {device} is broken.", "The {person} has a {device} that does not work."),
        (
            "The {person}'s {device} was repaired in {month}.",
            "The {device} of the {person} is running without any trouble again.",
        ),
        ("The {person}'s {device} is not broken.", "The {person} has a {device} that works."),
    ),
)

UNSEEN_INFERENCES = (
    _opposed(
        (
            "The {person} drowned near {city}.",
            "The {person} was killed in an accident near {city}.",
        ),
        ("The {person} is dead.", "The {person} did not survive."),
        (
            "The {person} was saved from the sea near {city}.",
            "The {person} came away from an accident near {city} without a scratch.",
        ),
        ("The {person} is alive.", "The {person} survived."),
    ),
    _opposed(
        (
            "{woman} whispered the answer to {man}.",
            "{woman} gave {man} the answer in a soft voice.",
        ),
        ("{woman} spoke quietly to {man}.", "{woman} did not raise her voice."),
        (
            "{woman} shouted the answer at {man}.",
            "{woman} yelled the answer across the street to {man}.",
        ),
        ("{woman} spoke loudly to {man}.", "{woman} raised her voice."),
    ),
    _opposed(
        (
            "Neither the {person} nor the {person2} {verb:ed} {woman}.",
            "It is false that the {person} {verb:ed} {woman}.",
        ),
        ("The {person} did not {verb} {woman}.", "{woman} was not {verb:ed} by the {person}."),
        (
            "Both the {person} and the {person2} {verb:ed} {woman}.",
            "It is true that the {person} {verb:ed} {woman}.",
        ),
        ("The {person} {verb:ed} {woman}.", "{woman} was {verb:ed} by the {person}."),
    ),
    _opposed(
        (
            "The {venue} in {city} burned to the ground in {year}.",
            "In {year} a storm left nothing of the {venue} in {city}.",
        ),
        ("The {venue} was destroyed.", "The {venue} in {city} did not last."),
        (
            "The {venue} in {city} has stood unharmed since {year}.",
            "The {venue} in {city} came through the storm of {year} without damage.",
        ),
        ("The {venue} was not destroyed.", "The {venue} in {city} is still there."),
    ),
    _opposed(
        (
            "{woman} passed the exam in {skill}.",
            "{woman} got the best mark of all in the {skill} exam.",
        ),
        ("{woman} did well in the exam.", "{woman} succeeded in the exam in {skill}."),
        (
            "{woman} failed the exam in {skill}.",
            "{woman} got the worst mark of all in the {skill} exam.",
        ),
        ("{woman} did badly in the exam.", "{woman} had no success in the exam in {skill}."),
    ),
    directed(
        "man",
        "woman",
        (
            "{man} stood behind {woman} in the queue at the {venue}.",
            "At the {venue} {woman} was served before {man}.",
        ),
        ("{woman} was ahead of {man}.", "{man} was further back than {woman}."),
    ),
)
