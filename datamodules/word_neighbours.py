"""Words to put in a word's place: the nearest in a model's own word-embedding space."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.whole_words import WholeWords, Word
from lightning_app.errors import InputError


class WordNeighbours:
    """The nearest words by the cosine of their rows in the embedding matrix.

    In place of the GloVe vectors of TinyBERT (arXiv:1909.10351, appendix A): no second download,
    and the words are those that the model knows. A word that the tokenizer splits has no row of
    its own and no neighbours.

    Args:
        words: Of the model's tokenizer.
        embeddings: ``[vocabulary, hidden]``.
        num_neighbours: Of each word, itself not counted.
        block: Words compared at a time with all others, which bounds the memory.

    Raises:
        InputError: If the vocabulary has no more words than that.
    """

    def __init__(
        self, words: WholeWords, embeddings: Tensor, num_neighbours: int, block: int = 256
    ) -> None:
        if len(words.names) <= num_neighbours:
            raise InputError(
                "Expected `data.augmentation.num_neighbours` to be below the number of words in the"
                f" vocabulary, {len(words.names)}, got {num_neighbours}."
            )
        self.words = words
        self.num_neighbours = num_neighbours
        self.block = block
        self._numbers = np.array(list(words.names))
        rows = embeddings[torch.from_numpy(self._numbers)].float()
        self._directions = torch.nn.functional.normalize(rows, dim=1)
        self._known: dict[int, tuple[str, ...]] = {}

    @property
    def digest(self) -> str:
        """Of all that the answers depend on."""
        state = hashlib.sha256(self._directions.numpy().tobytes())
        state.update(repr((self.num_neighbours, self.words.names)).encode())
        return state.hexdigest()

    def __call__(self, texts: Sequence[str]) -> list[list[tuple[Word, tuple[str, ...]]]]:
        """For each text its words, each with what may stand in its place, nearest first."""
        encodings = self.words.encode(texts)
        found = [self.words.find(*pair) for pair in zip(texts, encodings, strict=True)]
        self._learn({word.number for row in found for word in row})
        return [[(word, self._known[word.number]) for word in row] for row in found]

    def _learn(self, numbers: Iterable[int]) -> None:
        new = np.array(sorted(set(numbers) - set(self._known)), dtype=self._numbers.dtype)
        places = np.searchsorted(self._numbers, new)
        for start in range(0, len(new), self.block):
            block = slice(start, start + self.block)
            for number, nearest in zip(new[block], self._nearest(places[block]), strict=True):
                names = (self.words.names[int(self._numbers[place])] for place in nearest)
                self._known[int(number)] = tuple(names)

    def _nearest(self, places: npt.NDArray[np.int64]) -> list[list[int]]:
        cosines = self._directions[torch.from_numpy(places)] @ self._directions.T
        cosines[torch.arange(len(places)), torch.from_numpy(places)] = -2.0  # not itself
        nearest: list[list[int]] = cosines.topk(self.num_neighbours).indices.tolist()
        return nearest
