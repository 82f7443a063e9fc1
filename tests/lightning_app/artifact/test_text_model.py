import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_app.artifact.manifest import FileEntry, Manifest, Padding, Sample
from lightning_app.artifact.text_encoder import Batch, TextEncoder
from lightning_app.artifact.text_model import TextModel, relative_difference
from lightning_app.errors import InputError
from lightning_app.task import ProblemType
from tests.lightning_app.artifact.tiny_checkpoint import task


def manifest(columns: int = 1, **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "format": "hf",
        "task": task("no", "yes", columns=columns),
        "architecture": {},
        "layout": "hf_uniform",
        "max_seq_length": 6,
        "inputs": ("input_ids", "attention_mask", "token_type_ids"),
        "padding": Padding(0, 0, "right"),
        "parameters": 1,
        "nonzero_parameters": 1,
        "checkpoint": {"file": "x.ckpt", "sha256": ""},
        "samples": (Sample(("good",), (1.0, 2.0)),),
        "tolerance": 1e-5,
        "versions": {},
    }
    return Manifest(**{**values, **changes})


class Recorder:
    """Answers with the length of each row and its second token; remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def __call__(self, batch: Batch) -> Any:
        self.batches.append(batch)
        lengths = batch["attention_mask"].sum(1)
        return np.stack([lengths, batch["input_ids"][:, 1]], 1).astype(np.float32)


def model(tiny_model: str, network: Any = None, **changes: Any) -> TextModel:
    says = manifest(**changes)
    file = Path(tiny_model) / "tokenizer.json"
    encoder = TextEncoder(file, says.max_seq_length, says.inputs, says.padding)
    return TextModel(Path(), says, encoder, network or Recorder())


def constant(*logits: float) -> Any:
    return lambda batch: np.array([logits] * len(batch["input_ids"]), dtype=np.float32)


def test_rows_of_similar_length_go_together_and_come_back_in_order(tiny_model: str) -> None:
    network = Recorder()
    texts = ["a a a", "good", "a a", "bad", "the the the the"]
    logits = model(tiny_model, network).logits(texts, batch_size=2)
    assert [batch["input_ids"].shape for batch in network.batches] == [(2, 3), (2, 5), (1, 6)]
    assert logits[:, 0].tolist() == [5, 3, 4, 3, 6]
    tokenizer = model(tiny_model)._encoder
    first = [row.ids[1] for row in tokenizer.encode(texts, None)]
    assert logits[:, 1].tolist() == first


def test_tokens_are_those_of_transformers(tiny_model: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    texts = ["The film, was GOOD!", "", "naïve ₤ x1", "a " * 30, "b"]
    pairs = ["", "the dog and the cat ate apple and the book", "y", "b " * 30, "c " * 9]
    ours = model(tiny_model)._encoder
    for columns in ((texts, None), (texts, pairs)):
        given = [column for column in columns if column is not None]
        expected = tokenizer(
            *given, truncation=True, max_length=6, padding=True, return_tensors="np"
        )
        batch = ours.batch(ours.encode(*columns))
        assert set(batch) == set(expected)
        for name, values in batch.items():
            np.testing.assert_array_equal(values, expected[name], name)


def test_padding_follows_the_manifest(tiny_model: str) -> None:
    network = Recorder()
    changes: dict[str, Any] = {"padding": Padding(7, 1, "left")}
    model(tiny_model, network, **changes).logits(["a", "a a"])
    (batch,) = network.batches
    assert batch["input_ids"][0].tolist()[0] == 7
    assert batch["attention_mask"].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert batch["token_type_ids"].tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]


def test_inputs_that_the_network_does_not_read_are_not_made(tiny_model: str) -> None:
    network = Recorder()
    model(tiny_model, network, inputs=("input_ids", "attention_mask")).logits(["a"])
    assert list(network.batches[0]) == ["input_ids", "attention_mask"]


def test_scores_of_one_label_are_a_softmax(tiny_model: str) -> None:
    (answer,) = model(tiny_model, constant(0.0, math.log(3)))(["a"])
    assert answer["label"] == "yes"
    assert answer["scores"] == pytest.approx({"no": 0.25, "yes": 0.75})
    assert answer["score"] == answer["scores"]["yes"]


def test_scores_do_not_overflow(tiny_model: str) -> None:
    (answer,) = model(tiny_model, constant(1000.0, -1000.0))(["a"])
    assert answer["scores"] == {"no": 1.0, "yes": 0.0}
    several = task("no", "yes", problem="multi_label_classification", columns=1)
    (answer,) = model(tiny_model, constant(1000.0, -1000.0), task=several)(["a"])
    assert answer["scores"] == {"no": 1.0, "yes": 0.0}


@pytest.mark.parametrize(
    ("problem", "logits", "expected"),
    [
        ("regression", (3.5,), {"score": 3.5}),
        (
            "multi_label_classification",
            (math.log(3), -math.log(3)),
            {"label": ["no"], "score": 0.75, "scores": {"no": 0.75, "yes": 0.25}},
        ),
    ],
)
def test_other_problems(
    problem: ProblemType, logits: tuple[float, ...], expected: dict[str, Any], tiny_model: str
) -> None:
    labels = ("no", "yes")[: len(logits)]
    of_problem = task(*labels, problem=problem, columns=1)
    (answer,) = model(tiny_model, constant(*logits), task=of_problem)(["a"])
    assert answer.keys() == expected.keys()
    assert answer.get("label") == expected.get("label")
    assert answer["score"] == pytest.approx(expected["score"])
    assert answer.get("scores") == pytest.approx(expected.get("scores"))


def test_no_rows_no_answers(tiny_model: str) -> None:
    assert model(tiny_model)([]) == []


@pytest.mark.parametrize(
    ("columns", "arguments", "sentence"),
    [
        (1, ("a text",), "Expected `texts` to be a list of texts, got 'a text'"),
        (1, (["a", 3],), r"Expected `texts` to be a list of texts, got \['a', 3\]"),
        (2, (["a"], "b"), "Expected `pairs` to be a list of texts, got 'b'"),
        (2, (["a"],), "texts and pairs for task 'own', which reads text and second, got texts al"),
        (1, (["a"], ["b"]), "texts alone for task 'own', which reads text, got texts and pairs"),
        (2, (["a"], ["b", "c"]), "as many `pairs` as `texts`, got 2 and 1"),
        (1, (["a"], None, 0), "`batch_size` to be at least 1, got 0"),
    ],
)
def test_a_mistake_is_one_sentence(
    columns: int, arguments: tuple[Any, ...], sentence: str, tiny_model: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        model(tiny_model, columns=columns)(*arguments)


def test_the_difference_is_relative_to_the_largest_logit_or_one(tiny_model: str) -> None:
    expected = np.array([[4.0, -8.0]])
    assert relative_difference(np.array([[4.0, -7.0]]), expected) == pytest.approx(1 / 8)
    assert relative_difference(np.array([[0.3]]), np.array([[0.1]])) == pytest.approx(0.2)
    assert relative_difference(np.array([[float("nan")]]), np.array([[0.1]])) == math.inf
    opened = model(tiny_model, constant(1.0, 2.5))
    assert opened.difference_from_checkpoint() == pytest.approx(0.25)


def test_a_manifest_survives_json() -> None:
    import json

    says = manifest(files={"README.md": FileEntry(3, "ab")})
    again = Manifest.from_plain(json.loads(json.dumps(says.as_plain())))
    assert again == says
    assert again.size == 3
