"""Words and phrases that praise or blame a film."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Opinion:
    """The wordings of one polarity; the unseen ones occur in validation and test only."""

    adjectives: tuple[str, ...]
    unseen_adjectives: tuple[str, ...]
    verdicts: tuple[str, ...]
    unseen_verdicts: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


OPINIONS = {
    "positive": Opinion(
        adjectives=_words(
            "brilliant charming delightful funny gripping honest inspired lively moving "
            "original powerful refreshing sharp smart stunning superb touching warm witty "
            "wonderful elegant exciting graceful thoughtful vivid tender playful polished "
            "magical rich"
        ),
        unseen_adjectives=_words(
            "amusing beautiful captivating compelling dazzling engaging enjoyable excellent "
            "fascinating hilarious impressive joyful masterful memorable perceptive "
            "remarkable satisfying splendid suspenseful terrific thrilling uplifting "
            "heartfelt ingenious"
        ),
        verdicts=(
            "i would see it again tomorrow",
            "it had me smiling all the way home",
            "you will want to tell your friends about it",
            "the two hours flew by",
            "nobody in the audience wanted it to end",
            "it deserves every award it can get",
            "it stays in your heart for days",
            "my whole family loved it",
        ),
        unseen_verdicts=(
            "i was sorry when the lights came on",
            "we applauded until our hands hurt",
            "it is worth every cent of the admission",
            "the crowd cheered at the credits",
            "i have already recommended it to everyone i know",
        ),
    ),
    "negative": Opinion(
        adjectives=_words(
            "awful boring clumsy confusing dull empty flat forced lazy lifeless messy "
            "pointless predictable shallow silly slow stale tedious tired weak bland cheap "
            "cold hollow incoherent noisy sloppy stiff ugly wooden"
        ),
        unseen_adjectives=_words(
            "amateurish annoying appalling artificial awkward banal bloated cliched "
            "disappointing dismal dreadful forgettable horrible inept irritating laughable "
            "mediocre miserable monotonous muddled pretentious terrible uninspired "
            "unwatchable"
        ),
        verdicts=(
            "i wanted my money back",
            "it had me checking my watch every minute",
            "you will warn your friends about it",
            "the two hours felt like ten",
            "half of the audience left early",
            "it deserves to be forgotten soon",
            "it gave me a headache for days",
            "my whole family hated it",
        ),
        unseen_verdicts=(
            "i fell asleep before the halfway mark",
            "we walked out and did not look back",
            "it is a waste of an evening",
            "the crowd booed at the credits",
            "i would not wish it on anyone i know",
        ),
    ),
}
