import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from datamodules.whole_words import WholeWords
from tests.tiny_bert import LETTERS, SPECIAL, WORDS


@pytest.fixture
def words(tiny_model: str) -> WholeWords:
    return WholeWords(AutoTokenizer.from_pretrained(tiny_model))


def found(words: WholeWords, text: str, max_length: int | None = None) -> list[str]:
    (encoding,) = words.encode([text], max_length)
    for word in words.find(text, encoding):
        assert encoding.ids[word.place] == word.number
    return [text[word.start : word.stop] for word in words.find(text, encoding)]


def test_pieces_special_tokens_letters_and_punctuation_are_no_words(words: WholeWords) -> None:
    expected = {word for word in WORDS.split() if len(word) > 1}
    assert set(words.names.values()) == expected
    assert not set(words.names.values()) & {*SPECIAL, *LETTERS, "##a", ".", "?"}


def test_words_are_found_where_they_stand(words: WholeWords) -> None:
    # "films" is split, "a" is a letter, "2" a number, "[MASK]" a special token.
    text = "The  films, a Good dog? 2 [MASK] was"
    assert found(words, text) == ["The", "Good", "dog", "was"]


def test_words_behind_the_cut_are_left_out(words: WholeWords) -> None:
    assert found(words, "the good dog was bad", max_length=5) == ["the", "good", "dog"]


def test_byte_level_words_begin_with_a_space() -> None:
    vocabulary = {"<s>": 0, "Ġgood": 1, "good": 2, "Ġdog": 3, "s": 4, "Ġ.": 5, "Ġa": 6}
    vocabulary.update({letter: 7 + i for i, letter in enumerate("Ġdogab.")})
    for piece in ("go", "goo", "do", "Ġg", "Ġgo", "Ġgoo", "Ġd", "Ġdo"):
        vocabulary.setdefault(piece, len(vocabulary))
    merges = [("g", "o"), ("go", "o"), ("goo", "d"), ("Ġ", "good"), ("d", "o"), ("do", "g")]
    merges += [("Ġ", "dog"), ("Ġ", "a"), ("Ġ", ".")]
    vocabulary.setdefault("dog", len(vocabulary))
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    words = WholeWords(PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>"))
    assert set(words.names.values()) == {"good", "dog", "go", "goo", "do"}
    # The first is no word there, as nothing says that it begins one; " dogs" is split.
    assert found(words, "good dog a dogs good") == ["dog", "good"]
