import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from jsonargparse import ArgumentParser

from datamodules import Augmentation, GLUEDataModule, TextDataModule, TextFilesDataModule
from datamodules.augmentation import Replaceable, augment_rows, replace_words
from datamodules.splits import Rows
from datamodules.whole_words import Word
from lightning_app.errors import InputError

NEW = ("x", "y", "z")
PINNED = [
    "w0i0 w0i1 w0i2 w0i3 x w0i5",
    "w0i0 x w0i2 w0i3 w0i4 y",
    "w1i0 w1i1 x x w1i4 w1i5",
    "w1i0 w1i1 x w1i3 x x",
]


class EveryWord:
    """Each word may become x, y or z, the first of a text excepted."""

    digest = "every word"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, texts: Sequence[str]) -> list[list[Replaceable]]:
        self.calls += 1
        return [self._words(text) for text in texts]

    def _words(self, text: str) -> list[Replaceable]:
        starts = [i + 1 for i, letter in enumerate(text) if letter == " "]
        return [(Word(s, (text + " ").index(" ", s), 0, 0), NEW) for s in starts]


def make(
    raw: Dataset, augmentation: Augmentation, rows: Sequence[int] | None = None, **options: Any
) -> Dataset:
    arguments: dict[str, Any] = {"columns": ["text"], "substitutes": EveryWord(), "seed": 0}
    chosen: Rows = np.array(range(len(raw)) if rows is None else rows, dtype=np.int32)
    return augment_rows(raw, chosen, augmentation=augmentation, **{**arguments, **options})


def texts(num_rows: int, num_words: int = 50) -> Dataset:
    lines = [" ".join(f"w{row}i{i}" for i in range(num_words)) for row in range(num_rows)]
    return Dataset.from_dict({"text": lines, "label": [0] * num_rows})


def test_words_are_replaced_where_they_stand() -> None:
    text = "A  good film, 2nd."
    words = [(Word(3, 7, 0, 0), ("bad",)), (Word(8, 12, 0, 0), ("book",))]
    rng = np.random.default_rng(0)
    assert replace_words(text, words, 1.0, rng) == "A  bad book, 2nd."
    assert replace_words(text, words, 0.0, rng) == text
    made = {replace_words(text, words, 0.5, rng) for _ in range(100)}
    assert made == {f"A  {one} {two}, 2nd." for one in ("good", "bad") for two in ("film", "book")}


@pytest.mark.parametrize("share", [0.2, 0.4, 0.8])
def test_the_share_is_that_of_the_words_and_each_substitute_as_frequent(share: float) -> None:
    raw = texts(40)
    made = make(raw, Augmentation(copies=5, share=share))
    assert len(made) == 200
    words = np.array([text.split() for text in made["text"]])
    # 9,800 draws: three standard deviations are at most 0.015.
    replaced = np.isin(words, NEW)
    assert not replaced[:, 0].any()
    assert replaced[:, 1:].mean() == pytest.approx(share, abs=0.015)
    counts = np.array([(words == new).sum() for new in NEW])
    assert counts / counts.sum() == pytest.approx([1 / 3] * 3, abs=0.05)
    kept = np.where(replaced, "", words)
    originals = np.repeat([text.split() for text in raw["text"]], 5, axis=0)
    assert np.array_equal(kept, np.where(replaced, "", originals))


def test_copies_that_repeat_are_left_out() -> None:
    raw = Dataset.from_dict({"text": ["a b", "alone"]})
    made = make(raw, Augmentation(copies=200, share=0.5))
    assert sorted(made["text"]) == ["a x", "a y", "a z"]


def test_only_the_chosen_rows_are_copied_and_their_number_decides() -> None:
    raw = texts(6)
    augmentation = Augmentation(copies=2)
    every, some = make(raw, augmentation)["text"][:], make(raw, augmentation, [1, 4])["text"][:]
    assert some == [*every[2:4], *every[8:10]]
    assert make(raw, augmentation, seed=1)["text"][:] != every
    assert make(raw, augmentation)["text"][:] == every


def test_the_seed_means_the_same_in_every_process() -> None:
    made = make(texts(2, 6), Augmentation(copies=2), seed=7)
    assert made["text"][:] == PINNED


def test_both_texts_of_a_pair_change() -> None:
    raw = Dataset.from_dict({"one": ["a b c d e f"] * 3, "label": [0] * 3, "two": ["g h i j"] * 3})
    made = make(raw, Augmentation(copies=4, share=0.9), columns=["one", "two"])
    assert made.column_names == ["one", "two"]
    assert all(row["one"].startswith("a ") and row["one"] != "a b c d e f" for row in made)
    assert all(row["two"].startswith("g ") and row["two"] != "g h i j" for row in made)


def test_second_call_reads_the_cache(tmp_path: Path) -> None:
    texts(5).to_parquet(tmp_path / "rows.parquet")
    raw = Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache"))
    substitutes = EveryWord()
    first = make(raw, Augmentation(copies=3), [0, 2, 4], substitutes=substitutes)
    second = make(raw, Augmentation(copies=3), [0, 2, 4], substitutes=substitutes)
    assert substitutes.calls == 1
    assert first["text"][:] == second["text"][:]
    for other in (
        make(raw, Augmentation(copies=4), [0, 2, 4]),
        make(raw, Augmentation(copies=3, share=0.5), [0, 2, 4]),
        make(raw, Augmentation(copies=3), [0, 2, 3]),
        make(raw, Augmentation(copies=3), [0, 2, 4], seed=1),
        make(raw.select([0, 1, 2, 3, 4, 0]), Augmentation(copies=3), [0, 2, 4]),
    ):
        assert other._fingerprint != first._fingerprint


def test_texts_without_a_word_to_replace_are_refused() -> None:
    raw = Dataset.from_dict({"text": ["alone", "1 2 3".replace(" ", "-")]})
    with pytest.raises(InputError, match="found none; choose another"):
        make(raw, Augmentation())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": 0}, r"`data.augmentation.copies` to be at least 1, got 0"),
        ({"num_neighbours": 0}, r"`data.augmentation.num_neighbours` to be at least 1, got 0"),
        ({"share": 0.0}, r"`data.augmentation.share` to be in \(0, 1\], got 0.0"),
        ({"share": 1.5}, r"`data.augmentation.share` to be in \(0, 1\], got 1.5"),
    ],
)
def test_refuses_wrong_numbers(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Augmentation(**options)


def test_needs_a_model(tmp_path: Path) -> None:
    rows = [{"text": "good", "label": i % 2} for i in range(20)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = TextFilesDataModule(str(tmp_path / "train.jsonl"), augmentation=Augmentation())
    with pytest.raises(
        InputError, match=r"`data.augmentation.model_name_or_path` where no Trainer"
    ):
        data._augment()


def test_pairs_of_a_task_in_words_of_the_model(tiny_model: str) -> None:
    def module() -> GLUEDataModule:
        data = GLUEDataModule(
            "rte",
            dataset="embedded",
            tokenizer=tiny_model,
            max_train_rows=30,
            augmentation=Augmentation(copies=2, num_neighbours=5),
        )
        data.setup("fit")
        return data

    data = module()
    index = range(2400, 2400 + data.num_unlabelled)
    one, two = data.texts("train", index)
    assert 50 <= len(one) <= 60
    originals = set(zip(*data.texts("train", range(2400)), strict=True))
    assert not originals & set(zip(one, two, strict=True))
    assert len({tuple(map(len, map(str.split, pair))) for pair in zip(one, two, strict=True)}) > 1
    assert module().texts("train", index) == [one, two]


def test_one_option_of_the_command_line_is_enough() -> None:
    parser = ArgumentParser()
    parser.add_subclass_arguments(TextDataModule, "data")
    name = "datamodules.GLUEDataModule"
    options = ["--data.augmentation.copies=5", "--data.unlabelled=rest", "--data.max_train_rows=9"]
    parsed = parser.parse_args([f"--data={name}", *options])
    again = parser.parse_string(parser.dump(parsed))
    for namespace in (parsed, again):
        data = parser.instantiate(namespace).data
        assert data.augmentation == Augmentation(copies=5)
        assert data.unlabelled == "rest"
    none = parser.instantiate(parser.parse_args([f"--data={name}"])).data
    assert (none.augmentation, none.unlabelled) == (None, None)
