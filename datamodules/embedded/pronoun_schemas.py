"""Texts about two persons, with clues that point to the one or to the other."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schema:
    """A text about `{a}` and `{b}` that a pronoun and a clue go on.

    Args:
        text: All before the pronoun.
        first: Clues after which the pronoun means `{a}`.
        second: Clues after which it means `{b}`.
    """

    text: str
    first: tuple[str, ...]
    second: tuple[str, ...]


SCHEMAS = (
    Schema(
        "{a} lent {b} some money because",
        ("was <generous|kind>", "had <plenty|more than enough>"),
        ("was <broke|poor>", "had nothing left"),
    ),
    Schema(
        "{a} asked {b} for help with the {thing} because",
        ("was too weak", "did not know what to do"),
        ("was very strong", "was known to be helpful"),
    ),
    Schema(
        "{a} sold the {thing} to {b} because",
        ("no longer needed it", "had to pay the rent"),
        ("had always wanted one", "offered a good price"),
    ),
    Schema(
        "{a} apologized to {b} because",
        ("had been rude", "was sorry for the lie", "had broken the {thing}"),
        ("had been insulted", "was hurt by the lie"),
    ),
    Schema(
        "{a} visited {b} in the hospital because",
        ("was worried", "wanted to bring flowers"),
        ("had broken a leg", "was seriously ill"),
    ),
    Schema(
        "{a} taught {b} {skill} because",
        ("was an excellent teacher", "had mastered it long ago"),
        ("was eager to learn", "was a beginner"),
    ),
    Schema(
        "{a} beat {b} at tennis because",
        ("had trained harder", "was faster", "was in better shape"),
        ("had hurt an ankle", "was slower", "was out of practice"),
    ),
    Schema(
        "{a} hired {b} as a <cook|driver|guard|clerk|waiter> because",
        ("needed more staff", "was looking for a new employee"),
        ("had good references", "was looking for a job"),
    ),
    Schema(
        "{a} could not see the stage behind {b} because",
        ("was too short", "had lost the glasses"),
        ("was too tall", "wore a giant hat"),
    ),
    Schema(
        "{a} thanked {b} for the {thing} after",
        ("had received it", "had unwrapped the gift"),
        ("had delivered it", "had given it away"),
    ),
    Schema(
        "{a} stole a {thing} from {b} because",
        ("was a thief", "had no money to buy one"),
        ("was not paying attention", "had left it unguarded"),
    ),
    Schema(
        "{a} carried {b} home because",
        ("was strong enough", "wanted to help"),
        ("could not walk any more", "had fainted"),
    ),
    Schema(
        "{a} waited for {b} at the {venue} because",
        ("had come too early", "had already arrived"),
        ("was late", "had missed the bus"),
    ),
    Schema(
        "{a} envied {b} because",
        ("was never that lucky", "had failed"),
        ("had won a prize", "was always successful"),
    ),
    Schema(
        "{a} told {b} the truth, but",
        ("was not believed", "was called a liar"),
        ("did not believe it", "refused to listen"),
    ),
    Schema(
        "{a} called {b} three times, but",
        ("got no answer", "could not reach anyone"),
        ("did not pick up", "did not hear the phone"),
    ),
    Schema(
        "{a} invited {b} to dinner although",
        ("could hardly cook", "had an empty fridge"),
        ("had already eaten", "was a difficult guest"),
    ),
    Schema(
        "{a} paid {b} for the work after",
        ("had checked the result", "had received the bill"),
        ("had finished it", "had sent the bill"),
    ),
    Schema(
        "{a} forgave {b} although",
        ("was still hurt", "had been cheated"),
        ("had told a lie", "showed no regret"),
    ),
    Schema(
        "{a} followed {b} through the forest because",
        ("did not know the way", "had no map"),
        ("knew the way", "had the only map"),
    ),
    Schema(
        "{a} obeyed {b} because",
        ("was only a servant", "was afraid of being punished"),
        ("was the boss", "had the power to punish"),
    ),
    Schema(
        "{a} caught {b} in the kitchen when",
        ("came home early", "switched on the light"),
        ("was eating the cake in secret", "tried to hide the {thing}"),
    ),
    Schema(
        "{a} borrowed a {thing} from {b} and",
        ("promised to return it", "forgot to give it back"),
        ("asked to get it back", "missed it soon"),
    ),
    Schema(
        "{a} admired {b} because",
        ("had never seen such talent", "longed to be as good"),
        ("was so talented", "was a famous {person}"),
    ),
)

UNSEEN_SCHEMAS = (
    Schema(
        "{a} rescued {b} from the river because",
        ("was a good swimmer", "heard the cries for help"),
        ("could not swim", "was about to drown"),
    ),
    Schema(
        "{a} fired {b} because",
        ("was unhappy with the work", "wanted to save wages"),
        ("had often come late", "had done poor work"),
    ),
    Schema(
        "{a} treated {b} with care because",
        ("was a good doctor", "did not want to cause pain"),
        ("was badly wounded", "was in pain"),
    ),
    Schema(
        "{a} gave {b} a ticket for the concert because",
        ("had one too many", "could not go"),
        ("loved music", "had found none"),
    ),
    Schema(
        "{a} comforted {b} after",
        ("had seen the tears", "had heard about the loss"),
        ("had failed the exam", "had lost a friend"),
    ),
    Schema(
        "{a} wrote a letter to {b} but",
        ("forgot to send it", "had no stamps"),
        ("never received it", "did not reply"),
    ),
)
