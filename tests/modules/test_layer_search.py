import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_app.errors import InputError
from modules import TextClassifier
from modules.families import layer_parts
from modules.layer_search import _mean_loss, search_layers
from modules.student_structure import StudentStructure
from tests.modules.test_families import CONFIGS, logits_of, tiny_network
from tests.tiny_fit import quiet_trainer, reviews_data

KIND = "single_label_classification"


def batches() -> list[dict[str, Any]]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 40, (4, 8, 6), generator=draw)
    labels = torch.randint(0, 2, (4, 8), generator=draw)
    return [
        {"input_ids": i, "attention_mask": torch.ones_like(i), "labels": y, "index": y}
        for i, y in zip(ids, labels, strict=True)
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_one_dropped_layer_is_the_best_one_to_drop(name: str) -> None:
    network = tiny_network(name)
    count = len(layer_parts(network))
    before = logits_of(network)
    found = search_layers(network, count - 1, batches, KIND)
    losses = {
        choice: _mean_loss(network, choice, batches, KIND)
        for choice in itertools.combinations(range(count), count - 1)
    }
    assert tuple(found) == min(losses, key=lambda choice: losses[choice])
    assert len(set(losses.values())) == count
    assert torch.equal(logits_of(network), before)  # left as it was


def test_a_fit_keeps_what_was_found(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    structure = StudentStructure(num_layers=1, layer_map="searched")
    trainer = quiet_trainer()
    model = TextClassifier(tiny_model, structure=structure)
    trainer.fit(model, datamodule=reviews_data(reviews))
    assert model.architecture is not None
    (operation,) = model.architecture.since_start
    assert (operation["operation"], len(operation["layers"])) == ("student", 1)
    trainer.save_checkpoint(tmp_path / "student.ckpt")
    again = TextClassifier.load_from_checkpoint(tmp_path / "student.ckpt")
    assert again.architecture == model.architecture


def test_refuses_without_data(tiny_model: str, reviews: Path) -> None:
    data = reviews_data(reviews, tokenizer=tiny_model)
    data.prepare_data()
    model = TextClassifier(tiny_model, structure=StudentStructure(1, layer_map="searched"))
    with pytest.raises(InputError, match=r"data module for `model.structure.layer_map: searched`"):
        model.build(data.task)
