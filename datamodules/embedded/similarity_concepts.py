"""What captions are made of: tables of related concepts, each with its synonyms."""

# table -> groups of related concepts -> concepts -> synonyms
Concepts = tuple[tuple[tuple[str, ...], ...], ...]

AGENTS: Concepts = (
    (("a man", "a guy", "a gentleman"), ("a woman", "a lady")),
    (("a boy", "a small boy", "a young boy"), ("a girl", "a small girl", "a young girl")),
    (("two men", "a pair of men"), ("three men",), ("two women", "a pair of women")),
    (("a crowd", "a large group of people"), ("a few people", "a handful of people")),
    (("a soldier", "a man in uniform"), ("a police officer",)),
)

ACTIONS: Concepts = (
    (
        ("sliced an onion", "cut an onion into slices"),
        ("peeled a potato", "took the skin off a potato"),
        ("stirred a soup", "made soup in a pot"),
    ),
    (
        ("played the guitar", "strummed a guitar", "made music on a guitar"),
        ("played the piano", "sat at a piano and made music"),
        ("sang a song", "gave a song to the people around"),
    ),
    (
        ("rode a bike", "cycled along", "rode a bicycle"),
        ("rode a horse", "sat on the back of a horse"),
        ("drove a car", "steered a car"),
    ),
    (
        ("took a nap", "slept for a while"),
        ("rested", "had a rest"),
    ),
    (
        ("kicked a ball", "played soccer"),
        ("threw a ball", "tossed a ball"),
        ("ran a race", "took part in a race"),
    ),
    (
        ("read a newspaper", "looked through a newspaper"),
        ("read a book", "sat over a novel"),
        ("wrote a letter", "put a letter on paper"),
    ),
    (
        ("repaired a fence", "fixed a fence", "mended a fence"),
        ("painted a fence", "gave a fence a coat of paint"),
        ("built a fence", "put up a fence"),
    ),
    (
        ("bought some flowers", "purchased flowers"),
        ("sold some flowers", "offered flowers for sale"),
        ("watered some flowers", "gave the flowers some water"),
    ),
    (
        ("ate a sandwich", "had a sandwich"),
        ("drank some coffee", "sipped at a cup of coffee"),
        ("ate an apple", "bit into an apple"),
    ),
)

UNSEEN_ACTIONS: Concepts = (
    (
        ("washed a dog", "gave a dog a bath"),
        ("fed a dog", "gave a dog something to eat"),
        ("walked a dog", "took a dog for a walk"),
    ),
    (
        ("danced", "did a dance"),
        ("juggled", "kept some balls in the air"),
        ("clapped", "gave a round of applause"),
    ),
    (
        ("talked on the phone", "made a phone call"),
        ("typed on a laptop", "worked at a computer"),
        ("took a picture", "snapped a photograph"),
    ),
    (
        ("carried a ladder", "transported a ladder"),
        ("climbed a ladder", "went up a ladder"),
        ("leaned on a ladder",),
    ),
)

PLACES: Concepts = (
    (("outside a school",), ("outside a hospital",)),
    (("on the street", "on the road"), ("on a bridge",), ("on the sidewalk",)),
    (("in a park",), ("in a garden",), ("in a field", "in a meadow")),
    (("in front of a shop", "in front of a store"), ("at a market",)),
    (("near a river", "close to a river"), ("near the sea", "by the ocean")),
)

UNSEEN_PLACES: Concepts = (
    (("near a barn",), ("near a stable",)),
    (("in a forest", "in the woods"), ("on a mountain", "high up on a hill")),
    (("at a bus stop",), ("in a parking lot", "where cars are parked")),
    (("on a balcony",), ("on a roof", "on top of a house")),
)

TIMES: Concepts = (
    (("in the morning", "early in the day"), ("at noon", "at midday")),
    (("at night", "after dark"), ("in the evening", "at sunset")),
    (("in winter", "in the cold season"), ("in summer",)),
    (("on a rainy day", "while it was raining"), ("in bright sunshine", "while the sun shone")),
)

# Active and passive; exchanging the two persons changes who does it.
ENCOUNTERS = (
    (
        "the {person} <followed|pursued> the {person2} through the {venue}.",
        "the {person2} was <followed|pursued> through the {venue} by the {person}.",
    ),
    (
        "the {person} <pushed|shoved> the {person2} in front of the {venue}.",
        "in front of the {venue}, the {person2} was <pushed|shoved> by the {person}.",
    ),
    (
        "the {person} <hugged|embraced> the {person2} near the {venue}.",
        "the {person2} got a <hug|warm hug> from the {person} near the {venue}.",
    ),
    (
        "the {person} {verb:ed} the {person2} at the {venue}.",
        "the {person2} was {verb:ed} by the {person} at the {venue}.",
    ),
)
