"""Inferences from quantifiers, roles, negation, verbs and numbers."""

from datamodules.embedded.case import Case

LOGIC = (
    Case(
        "Every {person} <in|near> the {venue} {act:ed} <loudly|for a while|>.",
        entailed=(
            "Every {mood} {person} at the {venue} {act:ed}.",
            "The {mood} {person:s} at the {venue} {act:ed}.",
        ),
        neutral=("Every {person2} at the {venue} {act:ed}.", "No {person2} {act:ed}."),
        contradicted=(
            "Some {person:s} at the {venue} did not {act}.",
            "No {person} at the {venue} {act:ed}.",
            "Not all {person:s} at the {venue} {act:ed}.",
        ),
    ),
    Case(
        "Some {mood} {person:s} {verb:ed} the {person2} <at|near> the {venue}.",
        entailed=("Some {person:s} {verb:ed} the {person2}.",),
        neutral=(
            "All {person:s} {verb:ed} the {person2}.",
            "Some {mood2} {person:s} {verb:ed} the {person2}.",
            "The {person2} {verb:ed} some {mood} {person:s}.",
        ),
        contradicted=(
            "No {person} {verb:ed} the {person2} <at|near> the {venue}.",
            "Nobody {verb:ed} the {person2}.",
        ),
    ),
    Case(
        "No {person} <in|from> {city} <owns|has> a {thing}.",
        entailed=(
            "No {mood} {person} <in|from> {city} <owns|has> a {thing}.",
            "No {person} <in|from> {city} <owns|has> a {color} {thing}.",
        ),
        neutral=(
            "No {person2} <in|from> {city} <owns|has> a {thing}.",
            "Some {person:s} <in|from> {city} own a {thing2}.",
        ),
        contradicted=(
            "Some {mood} {person:s} <in|from> {city} own a {thing}.",
            "One {person} <in|from> {city} has a {color} {thing}.",
        ),
    ),
    Case(
        "No {mood} {person} <in|from> {city} <owns|has> a {color} {thing}.",
        neutral=(
            "No {person} <in|from> {city} <owns|has> a {color} {thing}.",
            "No {mood} {person} <in|from> {city} <owns|has> a {thing}.",
        ),
        contradicted=("A {mood} {person} <in|from> {city} has a {color} {thing}.",),
        entailed=("No {mood} {person} <in|from> {city} <owns|has> a {size} {color} {thing}.",),
    ),
    Case(
        "The {person} {verb:ed} the {person2} <at|near|in front of> the {venue}.",
        entailed=(
            "The {person2} was {verb:ed} by the {person}.",
            "It was the {person} who {verb:ed} the {person2}.",
            "Someone {verb:ed} the {person2}.",
        ),
        neutral=(
            "The {person2} {verb:ed} the {person}.",
            "The {person} was {verb:ed} by the {person2}.",
            "The {person} {verb:ed} the {person2} because of the {thing}.",
        ),
        contradicted=(
            "The {person2} was not {verb:ed} by anyone.",
            "The {person} did not {verb} the {person2}.",
            "Nobody {verb:ed} the {person2}.",
        ),
    ),
    Case(
        "{woman} <managed|remembered|was forced|did not forget> to {verb} the {person} "
        "<on {day}|at the {venue}>.",
        entailed=("{woman} {verb:ed} the {person}.",),
        contradicted=("{woman} did not {verb} the {person}.",),
        neutral=("{woman} {verb:ed} the {person2}.", "The {person} {verb:ed} {woman}."),
    ),
    Case(
        "{man} <failed|forgot|refused|did not manage|neglected> to {verb} the {person} "
        "<on {day}|at the {venue}>.",
        entailed=("{man} did not {verb} the {person}.",),
        contradicted=("{man} {verb:ed} the {person}.",),
        neutral=("{man} did not {verb} the {person2}.",),
    ),
    Case(
        "{woman} <wanted|hoped|planned|promised|did not refuse> to {verb} the {person} "
        "<on {day}|at the {venue}>.",
        neutral=("{woman} {verb:ed} the {person}.", "{woman} did not {verb} the {person}."),
        contradicted=("{woman} had no <wish|intention> to {verb} the {person}.",),
        entailed=("{woman} was willing to {verb} the {person}.",),
    ),
    Case(
        "{man} <knows|realized|is glad|regrets> that the {person} {verb:ed} the {person2}.",
        entailed=("The {person} {verb:ed} the {person2}.",),
        contradicted=("The {person} did not {verb} the {person2}.",),
        neutral=("{man} {verb:ed} the {person2}.",),
    ),
    Case(
        "{man} <believes|claims|suspects|fears> that the {person} {verb:ed} the {person2}.",
        neutral=(
            "The {person} {verb:ed} the {person2}.",
            "The {person} did not {verb} the {person2}.",
        ),
        contradicted=("{man} has no opinion on whether the {person} {verb:ed} the {person2}.",),
        entailed=("In the opinion of {man}, the {person2} was {verb:ed} by the {person}.",),
    ),
    Case(
        "{woman} bought a {size} {color} {thing} for the {person} at the {venue}.",
        entailed=(
            "{woman} bought a {thing} at the {venue}.",
            "A {color} {thing} was bought for the {person}.",
            "The {thing} that {woman} bought is {color}.",
        ),
        neutral=(
            "{woman} bought a {color} {thing} for the {person} and a {thing2} for {man}.",
            "The {person} liked the {thing} from {woman}.",
            "{woman} bought the {thing} on {day}.",
        ),
        contradicted=(
            "The {thing} that {woman} bought for the {person} is {color2}.",
            "{woman} bought nothing for the {person}.",
        ),
    ),
    Case(
        "The {person} <sold|lost|repaired> {mid} {thing:s} <on {day}|in {month}|in {city}>.",
        entailed=(
            "The number of {thing:s} was greater than {low}.",
            "There were fewer than {high} {thing:s}.",
        ),
        contradicted=(
            "The number of {thing:s} was smaller than {low}.",
            "There were more than {high} {thing:s}.",
        ),
        neutral=("The {person2} asked for {high} {thing:s}.", "The {mid} {thing:s} were {color}."),
    ),
    Case(
        "{woman} left the {venue} <before|long before|shortly before> {man} <arrived|came>.",
        entailed=(
            "{man} arrived at the {venue} after {woman} had left.",
            "When {man} came, {woman} was no longer at the {venue}.",
        ),
        contradicted=(
            "{man} arrived at the {venue} before {woman} left.",
            "{woman} was still at the {venue} when {man} came.",
        ),
        neutral=("{woman} left the {venue} because of {man}.", "{man} left before {woman2} came."),
    ),
    Case(
        "{woman} is <older|taller|richer> than {woman2}, who is younger than {woman3}.",
        neutral=("{woman} is younger than {woman3}.", "{woman3} knows {woman}."),
        entailed=("{woman3} is older than {woman2}.",),
        contradicted=("{woman2} is older than {woman3}.",),
    ),
    Case(
        "{man} is taller than {man2}, and {man2} is taller than {man3}.",
        entailed=("{man} is taller than {man3}.", "{man3} is shorter than {man}."),
        contradicted=("{man3} is taller than {man}.", "{man} is shorter than {man3}."),
        neutral=("{man} is older than {man3}.",),
    ),
    Case(
        "If the {person} comes to the {venue}, the {person2} will {act}.",
        neutral=("The {person2} will {act}.", "The {person} will come to the {venue}."),
        entailed=("The {person2} will {act} in case the {person} comes to the {venue}.",),
        contradicted=("Even if the {person} comes to the {venue}, the {person2} will not {act}.",),
    ),
)

UNSEEN_LOGIC = (
    Case(
        "Neither the {person} nor the {person2} {verb:ed} {woman}.",
        entailed=("The {person2} did not {verb} {woman}.",),
        contradicted=("{woman} was {verb:ed} by the {person}.",),
        neutral=("{woman} did not {verb} the {person}.", "Nobody {verb:ed} {woman}."),
    ),
    Case(
        "Only the {person} {verb:ed} the {person2} at the {venue}.",
        entailed=("The {person} {verb:ed} the {person2}.", "{man} did not {verb} the {person2}."),
        contradicted=("{woman} {verb:ed} the {person2} at the {venue}.",),
        neutral=("The {person} {verb:ed} only the {person2}.",),
    ),
    Case(
        "{man} stopped {verb:ing} the {person} in {month}.",
        entailed=("{man} used to {verb} the {person}.",),
        contradicted=("{man} has never {verb:ed} the {person}.",),
        neutral=("The {person} stopped {verb:ing} {man}.",),
    ),
    Case(
        "Without the {thing} from {woman}, the {person} would have {act:ed}.",
        entailed=("The {person} got a {thing} from {woman}.", "The {person} did not {act}."),
        contradicted=("The {person} {act:ed}.",),
        neutral=("{woman} gave the {person2} a {thing}.",),
    ),
)
