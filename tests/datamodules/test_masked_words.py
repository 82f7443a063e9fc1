import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from datamodules.masked_words import MaskedWords
from datamodules.whole_words import WholeWords
from lightning_app.errors import InputError
from tests.tiny_bert import SIZES


@pytest.fixture
def words(tiny_model: str) -> WholeWords:
    return WholeWords(AutoTokenizer.from_pretrained(tiny_model))


@pytest.fixture
def network(words: WholeWords) -> BertForMaskedLM:
    spread = 0.5  # or context says nothing
    config = BertConfig(vocab_size=len(words.tokenizer), **SIZES, initializer_range=spread)
    torch.manual_seed(0)
    return BertForMaskedLM(config)


TEXTS = ["the good film was bad .", "dog", "a very very old film , he said was awful and great"]


def test_the_most_probable_words_for_the_mask(
    words: WholeWords, network: BertForMaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.masked_words.TOKENS_AT_A_TIME", 30)  # several parts
    found = MaskedWords(words, network, 5, 128)(TEXTS)
    numbers, tokenizer = list(words.names), words.tokenizer
    network.eval()
    assert [len(row) for row in found] == [5, 1, 9]  # "said" is split
    for text, row in zip(TEXTS, found, strict=True):
        for word, substitutes in row:
            masked = f"{text[: word.start]}[MASK]{text[word.stop :]}"
            encoded = tokenizer(masked, return_tensors="pt")
            place = encoded["input_ids"][0].tolist().index(tokenizer.mask_token_id)
            with torch.no_grad():
                logits = network(**encoded).logits[0, place, numbers]
            best = [words.names[numbers[i]] for i in logits.argsort(descending=True)]
            best.remove(text[word.start : word.stop])
            assert list(substitutes) == best[:5]


def test_text_is_cut_at_the_longest_length(words: WholeWords, network: BertForMaskedLM) -> None:
    found = MaskedWords(words, network, 5, 5)(TEXTS)
    assert [len(row) for row in found] == [3, 1, 2]  # two special tokens, and "a" is a letter


def test_digest_follows_the_weights(words: WholeWords, network: BertForMaskedLM) -> None:
    digest = MaskedWords(words, network, 5, 128).digest
    assert digest == MaskedWords(words, network, 5, 128).digest
    assert digest != MaskedWords(words, network, 5, 64).digest
    with torch.no_grad():
        network.bert.encoder.layer[1].output.dense.bias += 1
    assert digest != MaskedWords(words, network, 5, 128).digest


def test_needs_a_mask_token_and_enough_words(words: WholeWords, network: BertForMaskedLM) -> None:
    count = len(words.names)
    with pytest.raises(InputError, match=rf"words in the vocabulary, {count}, got {count}"):
        MaskedWords(words, network, count, 128)
    words.tokenizer.mask_token = None
    with pytest.raises(InputError, match=r"with a mask token for `data.augmentation.masked"):
        MaskedWords(words, network, 5, 128)
