"""Inferences from what the words of a scene mean."""

import re

from datamodules.embedded.case import Case

# What is said of one person is open for another.
_ANOTHER = re.compile(r"\{(person|woman|man|venue|city)\}")


def _scene(premise: str, entailed: str, neutral: str, contradicted: str) -> Case:
    others = {_ANOTHER.sub(r"{\g<1>4}", text, count=1) for text in (entailed, contradicted)}
    open_texts = sorted(others - {entailed, contradicted})
    return Case(premise, (entailed,), (neutral, *open_texts), (contradicted,))


# As `_scene`, where the premise decides the same question for everybody.
def _fact(premise: str, entailed: str, neutral: str, contradicted: str) -> Case:
    return Case(premise, (entailed,), (neutral,), (contradicted,))


SCENES = (
    _scene(
        "The {person} is asleep in a tent <near {city}|behind the {venue}>.",
        "The {person} is not awake.",
        "The {person} is on a hiking trip with {woman}.",
        "The {person} is wide awake.",
    ),
    _scene(
        "{woman} is swimming <across|in> the lake <with {man}|near {city}>.",
        "{woman} is in the water.",
        "{woman} is training for a competition.",
        "{woman} is completely dry.",
    ),
    _scene(
        "{man} is slicing tomatoes <for|with> the {person}.",
        "{man} is using something sharp.",
        "{man} is making a pizza.",
        "{man} is planting tomatoes in the field.",
    ),
    _scene(
        "The {person:s} are dancing at a wedding in {city}.",
        "The {person:s} are moving.",
        "The {person:s} are relatives of the bride.",
        "The {person:s} are sitting still.",
    ),
    _scene(
        "{woman} locked the door of the {venue} <at midnight|on {day}>.",
        "The door of the {venue} was shut.",
        "{woman} works at the {venue}.",
        "{woman} left the door wide open.",
    ),
    _scene(
        "The {person}'s new car was stolen in {city}.",
        "The {person} had a car.",
        "The {person} called the police about the car.",
        "Nothing was ever taken from the {person}.",
    ),
    _scene(
        "{man} is the only child of the {person}.",
        "{man} has no brothers.",
        "{man} is proud of his parents.",
        "{man} has a sister.",
    ),
    _fact(
        "{woman} sold her house in {city} to the {person}.",
        "The {person} bought a house.",
        "{woman} wanted to move closer to the {venue}.",
        "{woman} still owns the house in {city}.",
    ),
    _scene(
        "The {person} spilled coffee on the {color} {thing}.",
        "The {thing} got wet.",
        "The {person} was in a hurry.",
        "The {thing} stayed dry and clean.",
    ),
    _fact(
        "{man} and {woman} got married in {city} <in {month}|on a {day}>.",
        "{man} is the husband of {woman}.",
        "{man} and {woman} have two children.",
        "{man} is a bachelor.",
    ),
    _scene(
        "It is snowing <heavily|all day> in {city}.",
        "It is cold in {city}.",
        "The {venue} in {city} is closed.",
        "It is a hot summer day in {city}.",
    ),
    _scene(
        "The {person} has been blind since birth.",
        "The {person} cannot see.",
        "The {person} plays the piano.",
        "The {person} saw the {color} {thing}.",
    ),
    _scene(
        "{woman} arrived at the {venue} on foot.",
        "{woman} walked.",
        "{woman} missed the bus.",
        "{woman} drove to the {venue}.",
    ),
    _fact(
        "The {venue} in {city} was empty when {man} came in.",
        "Nobody was at the {venue}.",
        "{man} was too early.",
        "A crowd met {man} at the {venue}.",
    ),
    _fact(
        "{man} ate all of the cake that {woman} had baked.",
        "There is no cake left.",
        "{man} asked {woman} for the recipe.",
        "{woman} ate the last piece of the cake.",
    ),
    _scene(
        "{woman} is a vegetarian <from {city}|and works at the {venue}>.",
        "{woman} does not eat beef.",
        "{woman} grows her own vegetables.",
        "{woman} ordered a steak and enjoyed it.",
    ),
    _scene(
        "The {person} is holding a sleeping baby.",
        "The {person} has something in the arms.",
        "The {person} is a parent.",
        "The {person}'s hands are empty.",
    ),
    _fact(
        "{man} won the race in {city} by a second.",
        "{man} was faster than the others.",
        "{man} got a medal from the mayor.",
        "{man} came in last.",
    ),
    _scene(
        "{woman} wears glasses only when she reads.",
        "{woman} does not wear glasses while driving.",
        "{woman} reads every evening.",
        "{woman} never wears glasses.",
    ),
    _scene(
        "The {person} is allergic to every kind of fur.",
        "Cats make the {person} ill.",
        "The {person} would like to have a dog.",
        "The {person} can keep cats without any trouble.",
    ),
    _fact(
        "The last train to {city} has already left.",
        "No more trains go to {city} today.",
        "{woman} missed the train to {city}.",
        "{man} can still catch a train to {city} today.",
    ),
    _fact(
        "The {person} kept the plan secret from everyone.",
        "{woman} did not know the plan.",
        "The plan was dangerous.",
        "The {person} told {man} about the plan.",
    ),
    _scene(
        "{woman} grew up in {city} and has never left it.",
        "{woman} has not been to {city2}.",
        "{woman} would like to see the world.",
        "{woman} studied in {city2}.",
    ),
    _scene(
        "The {thing} costs twice as much as the {thing2}.",
        "The {thing2} is cheaper.",
        "The {person} bought the {thing2}.",
        "The {thing} has the lower price.",
    ),
)

UNSEEN_SCENES = (
    _scene(
        "The {person} drowned near {city}.",
        "The {person} is dead.",
        "The {person} could not swim.",
        "The {person} is alive and well.",
    ),
    _scene(
        "{woman} whispered the answer to {man}.",
        "{woman} spoke in a low voice.",
        "{man} had asked {woman} for help.",
        "{woman} shouted at {man}.",
    ),
    _scene(
        "A puppy is chewing on {man}'s {thing}.",
        "A young dog has something in its mouth.",
        "{man} is angry with the puppy.",
        "An old cat is chewing on the {thing}.",
    ),
    _scene(
        "The {person} and {woman} are twins.",
        "The {person} and {woman} have the same mother.",
        "The {person} and {woman} live together.",
        "The {person} is ten years older than {woman}.",
    ),
    _scene(
        "{man} quit his job at the {venue} in {month}.",
        "{man} no longer works at the {venue}.",
        "{man} was badly paid at the {venue}.",
        "{man} was hired by the {venue} in {month}.",
    ),
    _scene(
        "The battery of the {person}'s phone is empty.",
        "The {person}'s phone does not work now.",
        "The {person} forgot the charger.",
        "The {person} is calling {woman} with this phone.",
    ),
    _scene(
        "{woman} is pregnant with her first child.",
        "{woman} has no children yet.",
        "{woman} hopes for a girl.",
        "{woman} is a mother of three.",
    ),
    _scene(
        "{man} paid the {person} back everything he owed.",
        "{man} has no more debts with the {person}.",
        "{man} sold his {thing} to pay the {person}.",
        "{man} still owes the {person} money.",
    ),
    _scene(
        "The {venue} burned to the ground <in {year}|in {month}>.",
        "There was a fire at the {venue}.",
        "The {person} set the {venue} on fire.",
        "The {venue} was never damaged.",
    ),
    _scene(
        "{woman} is an orphan from {city}.",
        "The parents of {woman} are dead.",
        "{woman} was raised by the {person}.",
        "{woman} visits her parents every {day}.",
    ),
)
