"""New training texts by word replacement."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from datamodules.splits import Rows
from datamodules.whole_words import Word
from lightning_app.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

AUGMENTATION_VERSION = "1"
"""Part of the cache key: raise it when what `augment_rows` writes changes."""

Replaceable = tuple[Word, tuple[str, ...]]
"""A word, and what may stand in its place."""


@dataclass(frozen=True)
class Augmentation:
    """Texts with some words replaced, for distillation (Jiao et al. 2020, "TinyBERT: Distilling
    BERT for Natural Language Understanding", arXiv:1909.10351, appendix A, algorithm 1).

    Each word is replaced with probability ``share`` by one of ``num_neighbours`` words, drawn
    evenly. As in the paper these are a masked language model's predictions where the model has
    such a head, else neighbours in its own word-embedding space (the paper's GloVe, for words that
    the tokenizer splits; here those stay). Numbers, punctuation and single letters stay, too. Of a
    pair, both texts change. A copy equal to its row or to an earlier copy is left out.

    Args:
        copies: Of each labelled training row, at least 1. The paper has 20.
        share: Probability that a word is replaced, in (0, 1]. The paper has 0.4.
        num_neighbours: Words to choose from, at least 1. The paper has 15.
        masked: Whether to ask a masked language model; by default where the model has one.
        model_name_or_path: Hub id, folder, ``embedded`` or checkpoint of the model that knows the
            words; by default the one that is trained.

    Raises:
        InputError: If a number is out of its interval.
    """

    copies: int = 20
    share: float = 0.4
    num_neighbours: int = 15
    masked: bool | None = None
    model_name_or_path: str | None = None

    def __post_init__(self) -> None:
        for name in ("copies", "num_neighbours"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"Expected `data.augmentation.{name}` to be at least 1,"
                    f" got {getattr(self, name)}."
                )
        if not 0 < self.share <= 1:
            raise InputError(
                f"Expected `data.augmentation.share` to be in (0, 1], got {self.share}."
            )


class Substitutes(Protocol):
    """Says for each text which words may be replaced, and by what."""

    @property
    def digest(self) -> str:
        """Of all that the answers depend on."""

    def __call__(self, texts: Sequence[str]) -> list[list[Replaceable]]:
        """Words in order, each with what may stand in its place; some may be left out."""


def replace_words(
    text: str, words: Sequence[Replaceable], share: float, rng: np.random.Generator
) -> str:
    """A copy of a text with some words replaced.

    Args:
        text: Any text.
        words: Words of it in order, each with what may stand in its place.
        share: Probability that a word is replaced, in [0, 1].
        rng: Source of the choices.
    """
    parts, done = [], 0
    for word, substitutes in words:
        if rng.random() < share:
            parts += [text[done : word.start], substitutes[rng.integers(len(substitutes))]]
            done = word.stop
    return "".join([*parts, text[done:]])


def augment_rows(
    raw: "Dataset",
    rows: Rows,
    columns: Sequence[str],
    augmentation: Augmentation,
    substitutes: Substitutes,
    seed: int,
) -> "Dataset":
    """Copies of rows with words replaced; a second call with the same arguments reads the cache.

    Args:
        raw: Texts of a split.
        rows: Which of them to copy.
        columns: One or two columns of text; the others are left out.
        augmentation: How many copies, and how much they differ.
        substitutes: What may stand in a word's place.
        seed: With a row's number, it decides on the row's copies.

    Raises:
        InputError: If no copy differs from its row.
    """
    from datasets import Features, Value

    def augment(batch: Mapping[str, Sequence[str]], places: Sequence[int]) -> dict[str, list[str]]:
        texts = [list(batch[column]) for column in columns]
        words = [substitutes(column) for column in texts]
        copies: list[tuple[str, ...]] = []
        for i, place in enumerate(places):
            row = [(text[i], found[i]) for text, found in zip(texts, words, strict=True)]
            copies += _copies(row, augmentation, np.random.default_rng((seed, int(rows[place]))))
        return {name: [copy[i] for copy in copies] for i, name in enumerate(columns)}

    augmented = raw.select(rows).map(
        augment,
        batched=True,
        with_indices=True,
        remove_columns=raw.column_names,
        features=Features({column: Value("string") for column in columns}),
        new_fingerprint=_cache_key(raw, rows, columns, augmentation, substitutes, seed),
        desc="Replacing words",
    )
    if len(augmented) == 0:
        raise InputError(
            "Expected words that can be replaced in the training texts for `data.augmentation`,"
            " found none; choose another `data.augmentation.model_name_or_path` or a larger share."
        )
    return augmented


def _copies(
    row: Sequence[tuple[str, Sequence[Replaceable]]],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> list[tuple[str, ...]]:
    made = dict.fromkeys(
        tuple(replace_words(text, words, augmentation.share, rng) for text, words in row)
        for _ in range(augmentation.copies)
    )
    made.pop(tuple(text for text, _ in row), None)
    return list(made)


def _cache_key(
    raw: "Dataset",
    rows: Rows,
    columns: Sequence[str],
    augmentation: Augmentation,
    substitutes: Substitutes,
    seed: int,
) -> str:
    chosen = hashlib.sha256(np.asarray(rows, dtype=np.int64).tobytes()).hexdigest()
    fingerprint: Any = raw._fingerprint
    parts = [AUGMENTATION_VERSION, fingerprint, chosen, list(columns), seed, substitutes.digest]
    text = json.dumps([*parts, augmentation.copies, augmentation.share])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
