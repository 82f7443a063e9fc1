import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from datamodules.whole_words import WholeWords
from datamodules.word_neighbours import WordNeighbours
from lightning_app.errors import InputError


@pytest.fixture
def words(tiny_model: str) -> WholeWords:
    return WholeWords(AutoTokenizer.from_pretrained(tiny_model))


def matrix(words: WholeWords, hidden: int = 8) -> torch.Tensor:
    return torch.randn(len(words.tokenizer), hidden)


def test_nearest_by_cosine_as_numpy_finds_them(words: WholeWords) -> None:
    embeddings = matrix(words) * torch.rand(len(words.tokenizer), 1)  # lengths do not matter
    neighbours = WordNeighbours(words, embeddings, 3, block=2)
    ((*found,),) = neighbours(["the good film was bad , very bad ."])
    numbers = list(words.names)
    rows = embeddings.numpy().astype(np.float64)[numbers]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert len(found) == 7
    for word, substitutes in found:
        order = np.argsort(-(rows @ rows[numbers.index(word.number)]))
        assert order[0] == numbers.index(word.number)
        assert list(substitutes) == [words.names[numbers[i]] for i in order[1:4]]


def test_planted_neighbours_are_found(words: WholeWords) -> None:
    numbers = {name: number for number, name in words.names.items()}
    embeddings = matrix(words, 64)
    embeddings[numbers["great"]] = 3 * embeddings[numbers["good"]] + 0.01
    # Nearer still, but no word.
    embeddings[words.tokenizer.convert_tokens_to_ids("##o")] = embeddings[numbers["good"]]
    ((found,),) = WordNeighbours(words, embeddings, 1)(["good"])
    assert found[1] == ("great",)


def test_digest_is_that_of_words_matrix_and_number(words: WholeWords) -> None:
    embeddings = matrix(words)
    digest = WordNeighbours(words, embeddings, 3).digest
    assert digest == WordNeighbours(words, embeddings.clone(), 3, block=7).digest
    assert digest != WordNeighbours(words, embeddings, 4).digest
    assert digest != WordNeighbours(words, embeddings + torch.eye(*embeddings.shape), 3).digest


def test_too_many_neighbours_are_refused(words: WholeWords) -> None:
    count = len(words.names)
    with pytest.raises(
        InputError, match=rf"number of words in the vocabulary, {count}, got {count}"
    ):
        WordNeighbours(words, matrix(words), count)
