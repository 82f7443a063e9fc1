"""Find the words of a text that are one entry of a tokenizer's vocabulary."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WORD_STARTS = ("Ġ", "▁")
"""Begin a word in byte-level BPE and in SentencePiece vocabularies."""


class Word(NamedTuple):
    """A word in a text.

    Args:
        start: Its first character in the text.
        stop: The character behind its last.
        number: Its vocabulary entry.
        place: Its position in ``input_ids``.
    """

    start: int
    stop: int
    number: int
    place: int


class WholeWords:
    """The vocabulary entries that are words: at least two letters and nothing else.

    Pieces of words, special tokens, numbers and punctuation are none; neither are single letters,
    which vocabularies hold as pieces of what they do not know.

    Args:
        tokenizer: A fast tokenizer.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.tokenizer = tokenizer
        self.names = _word_names(tokenizer)

    def encode(self, texts: Sequence[str], max_length: int | None = None) -> list[Any]:
        """`tokenizers.Encoding` of each text, with special tokens."""
        limit: dict[str, Any] = {} if max_length is None else {"max_length": max_length}
        encoded = self.tokenizer(list(texts), truncation=max_length is not None, **limit)
        encodings: list[Any] = encoded.encodings or []
        return encodings

    def find(self, text: str, encoding: Any) -> list[Word]:
        """The words of ``text`` that were not split, in order."""
        words = encoding.word_ids
        found = []
        for place, number in enumerate(encoding.ids):
            word = words[place]
            # The pieces of a word stand side by side.
            is_split = word in (*words[max(place - 1, 0) : place], *words[place + 1 : place + 2])
            if word is None or is_split or number not in self.names:
                continue
            start, stop = encoding.offsets[place]
            start += len(text[start:stop]) - len(text[start:stop].lstrip())
            found.append(Word(start, stop, number, place))
        return found


def _word_names(tokenizer: "PreTrainedTokenizerBase") -> dict[int, str]:
    special = set(tokenizer.all_special_ids)
    pieces = sorted((number, piece) for piece, number in tokenizer.get_vocab().items())
    names = {n: _word_name(tokenizer, piece) for n, piece in pieces if n not in special}
    return {n: name for n, name in names.items() if len(name) > 1 and name.isalpha()}


def _word_name(tokenizer: "PreTrainedTokenizerBase", piece: str) -> str:
    """The text of a piece that is a whole word; of another, something with other characters."""
    if tokenizer.backend_tokenizer.model.__class__.__name__ == "WordPiece":
        return piece
    if not piece.startswith(WORD_STARTS):
        return ""
    return str(tokenizer.convert_tokens_to_string([piece])).strip()
