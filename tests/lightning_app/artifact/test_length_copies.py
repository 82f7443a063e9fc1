"""Copies for fixed lengths answer as the model does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lightning_app
from lightning_app.artifact import openvino_network
from lightning_app.artifact.length_copies import LengthCopies, copied_length
from lightning_app.artifact.manifest import Padding
from lightning_app.commands.export import Export
from lightning_app.errors import InputError
from tests.lightning_app.artifact.tiny_checkpoint import built, needs, saved, task
from tests.lightning_app.artifact.tiny_families import tiny_family

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)

PADDING = Padding(token=7, type_token=3, side="right")
CALLS_BEFORE = 16


def batch(rows: int, length: int) -> dict[str, Any]:
    ones = np.ones((rows, length), dtype=np.int64)
    return {"input_ids": 9 * ones, "attention_mask": ones, "token_type_ids": 0 * ones}


def copies(
    compiled: list[int], max_copies: int = 8, longest: int = 512, padding: Padding = PADDING
) -> LengthCopies:
    def compiled_for(length: int) -> str:
        compiled.append(length)
        return f"for {length}"

    return LengthCopies(compiled_for, padding, longest, max_copies)


def ask(found: LengthCopies, rows: int, length: int, calls: int = CALLS_BEFORE) -> None:
    for _ in range(calls):
        assert found.find(batch(rows, length)) is None


def test_lengths_are_those_of_copies() -> None:
    assert [copied_length(n, 512) for n in (1, 16, 17, 128, 129)] == [16, 16, 32, 128, None]
    assert copied_length(97, longest=100) == 100


def test_a_copy_is_made_when_a_length_was_asked_for_often() -> None:
    compiled: list[int] = []
    found = copies(compiled)
    ask(found, 1, 20, calls=10)
    ask(found, 1, 30, calls=6)  # of the same copy
    assert compiled == []
    for length in (20, 30):
        request, inputs = found.find(batch(1, length)) or pytest.fail("no copy")
        assert request == "for 32"
        for name, value, filled in (
            ("input_ids", 9, 7),
            ("attention_mask", 1, 0),
            ("token_type_ids", 0, 3),
        ):
            expected = [[value] * length + [filled] * (32 - length)]
            np.testing.assert_array_equal(inputs[name], expected)
    assert compiled == [32]


def test_several_rows_and_long_ones_have_no_copy() -> None:
    compiled: list[int] = []
    found = copies(compiled)
    ask(found, 2, 20, calls=40)
    ask(found, 1, 129, calls=40)
    ask(copies(compiled, padding=Padding(0, 0, "left")), 1, 20, calls=40)
    assert compiled == []


def test_there_are_no_more_copies_than_allowed() -> None:
    compiled: list[int] = []
    found = copies(compiled, max_copies=1)
    ask(found, 1, 20)
    assert found.find(batch(1, 20)) is not None
    ask(found, 1, 40, calls=40)
    ask(copies(compiled, max_copies=0), 1, 20, calls=40)
    assert compiled == [32]


def test_of_a_large_file_there_are_few(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino")
    checkpoint = saved(built(tiny_model, task("no", "yes", columns=1)), tmp_path / "x.ckpt")
    out = tmp_path / "out"
    Export(str(checkpoint), str(out), "openvino", measure=False).run()
    size = (out / "model.bin").stat().st_size
    monkeypatch.setattr(openvino_network, "_MAX_BYTES_OF_COPIES", 2 * size + 1)
    opened = lightning_app.load(out, threads=1)
    opened.warm_up([8, 24, 40])
    network: Any = opened.network
    assert list(network._copies._requests) == [16, 32]


@pytest.mark.parametrize("max_copies", [-1, 9])
def test_the_number_of_copies_is_checked(max_copies: int) -> None:
    with pytest.raises(InputError, match=rf"`max_copies` to be in \[0, 8\], got {max_copies}"):
        lightning_app.load("anything", max_copies=max_copies)


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "deberta-v2"])
def test_a_copy_answers_as_the_model(family: str, tiny_model: str, tmp_path: Path) -> None:
    needs("openvino")
    base = tiny_model
    if family != "bert":
        base = tiny_family(family, tiny_model, tmp_path / "base")
    checkpoint = saved(built(base, task("no", "yes", columns=1)), tmp_path / "x.ckpt")
    out = tmp_path / "out"
    Export(str(checkpoint), str(out), "openvino", max_seq_length=50, measure=False).run()
    texts = ["good " * words for words in (1, 9, 17, 40, 46, 90)]
    expected = lightning_app.load(out, threads=1, max_copies=0).logits(texts, batch_size=1)
    opened = lightning_app.load(out, threads=1)
    opened.warm_up([3, 20, 40, 41, 50])
    network: Any = opened.network
    assert sorted(network._copies._requests) == [16, 32, 48, 50]
    found = opened.logits(texts, batch_size=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6)
