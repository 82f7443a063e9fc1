from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from datamodules.collator import PaddingCollator
from datamodules.streaming import StreamingLoader


def rows(num_rows: int = 100) -> list[dict[str, Any]]:
    lengths = np.random.default_rng(0).integers(3, 40, num_rows)
    return [{"input_ids": [1] * int(n), "labels": 0} for n in lengths]


def loader(batch_size: int = 8, **options: Any) -> StreamingLoader:
    options = {"seed": 1, "window": 4, **options}
    return StreamingLoader(rows(), PaddingCollator(), batch_size=batch_size, **options)


def indices(batches: Any) -> list[list[int]]:
    return [batch["index"].tolist() for batch in batches]


def one_ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """As Lightning fetches from a loader without a length: the next before the last is used."""
    held = next(batches)
    for batch in batches:
        yield held
        held = batch
    yield held


def test_two_ranks_see_the_global_batches_of_one_process() -> None:
    one = indices(loader(8))
    first, second = (indices(loader(4, rank=rank, world_size=2)) for rank in (0, 1))
    assert [sorted(a + b) for a, b in zip(first, second, strict=True)] == [sorted(b) for b in one]


def test_each_row_comes_at_most_once_and_only_a_part_of_a_batch_is_left_out() -> None:
    seen = [row for batch in indices(loader(8)) for row in batch]
    assert len(seen) == len(set(seen)) == 96


def test_rows_carry_their_number_in_the_file() -> None:
    lengths = [len(row["input_ids"]) for row in rows()]
    for batch in loader(8):
        found = batch["attention_mask"].sum(1).tolist()
        assert found == [lengths[i] for i in batch["index"].tolist()]


def test_epochs_differ_and_the_seed_decides() -> None:
    def epoch(number: int, seed: int) -> list[list[int]]:
        stream = loader(seed=seed)
        stream.set_epoch(number)
        return indices(stream)

    assert epoch(0, 1) == epoch(0, 1)
    assert epoch(0, 1) != epoch(1, 1)
    assert epoch(0, 1) != epoch(0, 2)


@pytest.mark.parametrize("used", [1, 3, 5, 11])
def test_resumes_after_the_last_used_batch_though_one_more_was_fetched(used: int) -> None:
    whole = indices(loader())
    stream = loader()
    batches = one_ahead(iter(stream))
    before = [next(batches)["index"].tolist() for _ in range(used)]
    resumed = loader()
    resumed.load_state_dict(stream.state_dict())
    resumed.set_epoch(0)
    assert before + indices(resumed) == whole


def test_resumes_with_the_next_epoch_after_the_last_batch() -> None:
    stream = loader()
    assert len(list(one_ahead(iter(stream)))) == 12
    assert stream.state_dict() == {"epoch": 1, "batches_given": 0}
    resumed = loader()
    resumed.load_state_dict(stream.state_dict())
    expected = loader()
    expected.set_epoch(1)
    assert indices(resumed) == indices(expected)


def test_a_resumed_epoch_is_saved_and_resumed_once_more() -> None:
    whole = indices(loader())
    second = loader()
    second.load_state_dict({"epoch": 0, "batches_given": 4})
    batches = one_ahead(iter(second))
    middle = [next(batches)["index"].tolist() for _ in range(3)]
    third = loader()
    third.load_state_dict(second.state_dict())
    assert whole[:4] + middle + indices(third) == whole


def test_a_loaded_position_is_saved_again_before_the_first_batch() -> None:
    stream = loader()
    stream.load_state_dict({"epoch": 2, "batches_given": 4})
    assert stream.state_dict() == {"epoch": 2, "batches_given": 4}


def test_a_position_of_another_epoch_is_dropped() -> None:
    stream = loader()
    stream.load_state_dict({"epoch": 0, "batches_given": 4})
    stream.set_epoch(1)
    assert len(indices(stream)) == 12


def test_after_an_epoch_the_next_one_begins_at_its_first_batch() -> None:
    stream = loader()
    indices(stream)
    stream.set_epoch(1)
    assert stream.state_dict() == {"epoch": 1, "batches_given": 0}
