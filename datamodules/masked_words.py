"""Words to put in a word's place: what a masked language model reads there."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from datamodules.whole_words import WholeWords, Word
from lightning_app.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Blank = tuple[int, Word]
"""Number of a text, and the word of it that is masked."""

TOKENS_AT_A_TIME = 2048
"""Logits over a vocabulary of 30,000 take 250 MB for so many."""


class MaskedWords:
    """The most probable words for ``[MASK]`` in a word's place (TinyBERT, arXiv:1909.10351,
    appendix A, algorithm 1).

    Each word is masked by itself, in the text as it was, as TinyBERT's own code does: the cost is
    one forward pass a word, whatever the number of copies. Texts are cut at ``max_length``; the
    words behind it, and those that the tokenizer splits, have no predictions.

    Args:
        words: Of the model's tokenizer.
        network: With a head for masked language modelling.
        num_words: Predictions for each word, itself not counted.
        max_length: In tokens.
        device: Where to compute.

    Raises:
        InputError: If the tokenizer has no mask token, or the vocabulary too few words.
    """

    def __init__(
        self,
        words: WholeWords,
        network: "PreTrainedModel",
        num_words: int,
        max_length: int,
        device: str | torch.device = "cpu",
    ) -> None:
        self.mask = words.tokenizer.mask_token_id
        if self.mask is None:
            raise InputError(
                "Expected a tokenizer with a mask token for `data.augmentation.masked: true`, got"
                " none; set it to false."
            )
        if len(words.names) <= num_words:
            raise InputError(
                "Expected `data.augmentation.num_neighbours` to be below the number of words in the"
                f" vocabulary, {len(words.names)}, got {num_words}."
            )
        self.words = words
        self.network: Any = network.train(False)
        self.num_words = num_words
        self.max_length = max_length
        self.device = device
        self._numbers = torch.tensor(list(words.names))

    @property
    def digest(self) -> str:
        """Of all that the answers depend on."""
        key = (self.num_words, self.max_length, self.mask, self.words.names)
        state = hashlib.sha256(repr(key).encode())
        for parameter in self.network.parameters():
            state.update(parameter.detach().float().cpu().numpy().tobytes())
        return state.hexdigest()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> list[list[tuple[Word, tuple[str, ...]]]]:
        """For each text its words, each with what may stand in its place, most probable first."""
        encodings = self.words.encode(texts, self.max_length)
        found = [self.words.find(*pair) for pair in zip(texts, encodings, strict=True)]
        blanks = [(text, word) for text, row in enumerate(found) for word in row]
        predicted: dict[Blank, tuple[str, ...]] = {}
        self.network.to(self.device)
        for part in _parts(blanks, [len(encoding.ids) for encoding in encodings]):
            predicted.update(zip(part, self._predict(part, encodings), strict=True))
        return [[(w, predicted[text, w]) for w in row] for text, row in enumerate(found)]

    def _predict(self, part: Sequence[Blank], encodings: Sequence[Any]) -> list[tuple[str, ...]]:
        pad = self.words.tokenizer.pad_token_id or 0
        rows = [torch.tensor(encodings[text].ids) for text, _ in part]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
        mask = torch.tensor([[1] * len(row) + [0] * (ids.shape[1] - len(row)) for row in rows])
        each, places = torch.arange(len(part)), torch.tensor([word.place for _, word in part])
        before = ids[each, places]
        ids[each, places] = self.mask
        logits: Tensor = self.network(
            input_ids=ids.to(self.device), attention_mask=mask.to(self.device)
        ).logits
        scores = logits[each, places].float().cpu()[:, self._numbers]
        scores[self._numbers == before[:, None]] = -torch.inf  # not itself
        best = self._numbers[scores.topk(self.num_words).indices]
        return [tuple(self.words.names[number] for number in row) for row in best.tolist()]


def _parts(blanks: Sequence[Blank], lengths: Sequence[int]) -> Iterator[list[Blank]]:
    """Parts of similar length and of bounded size with the padding."""
    part: list[Blank] = []
    for blank in sorted(blanks, key=lambda blank: lengths[blank[0]]):
        if (len(part) + 1) * lengths[blank[0]] > TOKENS_AT_A_TIME and part:
            yield part
            part = []
        part.append(blank)
    if part:
        yield part
