import numpy as np
import pytest

from datamodules.batch_sampler import EvalBatchSampler, RowKey, TrainBatchSampler


def lengths(num_rows: int, seed: int = 0) -> np.ndarray:
    """Lognormal, as the lengths of sentences are: median 25 tokens, at most 128."""
    draws = np.random.default_rng(seed).lognormal(np.log(25), 0.6, num_rows)
    return np.clip(draws, 3, 128).astype(np.int32)


def rows_of(batches: list[list[RowKey]]) -> list[list[int]]:
    return [[key.row for key in batch] for batch in batches]


def padding_factor(sizes: np.ndarray, batches: list[list[int]]) -> float:
    """Tokens with padding over tokens without."""
    return sum(sizes[b].max() * len(b) for b in batches) / sizes.sum()


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("num_rows", [1, 7, 64, 1003])
def test_each_row_comes_exactly_once_an_epoch(num_rows: int, grouped: bool) -> None:
    sampler = TrainBatchSampler(lengths(num_rows), 8, group_by_length=grouped, window=5)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = rows_of(list(sampler))
        assert sorted(row for batch in batches for row in batch) == list(range(num_rows))
        assert len(batches) == len(sampler) == -(-num_rows // 8)
        assert [len(batch) for batch in batches[:-1]] == [8] * (len(batches) - 1)


@pytest.mark.parametrize("grouped", [True, False])
def test_epochs_differ_and_the_seed_decides(grouped: bool) -> None:
    def epoch(number: int, seed: int) -> list[list[int]]:
        sampler = TrainBatchSampler(lengths(500), 8, group_by_length=grouped, seed=seed)
        sampler.set_epoch(number)
        return rows_of(list(sampler))

    assert epoch(0, seed=1) == epoch(0, seed=1)
    assert epoch(0, seed=1) != epoch(1, seed=1)
    assert epoch(0, seed=1) != epoch(0, seed=2)
    # Not the same batches in another order either.
    assert {tuple(sorted(b)) for b in epoch(0, 1)} != {tuple(sorted(b)) for b in epoch(1, 1)}


@pytest.mark.parametrize("num_rows", [64, 67, 200])
def test_two_ranks_see_the_global_batches_of_one_process(num_rows: int) -> None:
    sizes = lengths(num_rows)
    one = rows_of(list(TrainBatchSampler(sizes, 8, seed=3)))
    samplers = [TrainBatchSampler(sizes, 4, seed=3, rank=r, world_size=2) for r in (0, 1)]
    ranks = [rows_of(list(sampler)) for sampler in samplers]
    together = [sorted(a + b) for a, b in zip(*ranks, strict=True)]
    assert together == [sorted(batch) for batch in one]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("num_rows", "world_size"), [(13, 2), (9, 2), (17, 4), (18, 4), (25, 3)])
def test_mean_over_ranks_is_the_mean_over_rows_of_each_batch(
    num_rows: int, world_size: int, full: bool
) -> None:
    losses = np.random.default_rng(1).normal(size=num_rows)
    samplers = [
        TrainBatchSampler(lengths(num_rows), 4, rank=rank, world_size=world_size, full_batches=full)
        for rank in range(world_size)
    ]
    for batch_of_ranks in zip(*samplers, strict=True):
        means = [
            np.mean([losses[key.row] * key.weight for key in batch]) for batch in batch_of_ranks
        ]
        real = [key.row for batch in batch_of_ranks for key in batch if key.weight > 0]
        assert np.mean(means) == pytest.approx(losses[real].mean())


def test_a_rank_without_rows_gets_a_filler_of_weight_zero() -> None:
    # 9 rows in global batches of 8: one row is left, for rank 0.
    last = [list(TrainBatchSampler(lengths(9), 4, rank=r, world_size=2))[-1] for r in (0, 1)]
    assert [len(batch) for batch in last] == [1, 1]
    row = last[0][0].row
    assert last == [[RowKey(row, 2.0, 2.0)], [RowKey(row, 0.0, 0.0)]]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_full_batches_have_the_rows_of_others_and_fillers_that_weigh_nothing(
    world_size: int,
) -> None:
    def batches(sampler: type, full: bool) -> list[list[RowKey]]:
        ranks = range(world_size)
        options = {"world_size": world_size, "full_batches": full}
        return [b for r in ranks for b in sampler(lengths(17), 4, rank=r, **options)]

    for sampler in (TrainBatchSampler, EvalBatchSampler):
        full, others = (batches(sampler, full) for full in (True, False))
        assert {len(batch) for batch in full} == {4}
        real = [[key.row for key in batch if key.weight > 0] for batch in full]
        assert real == [[key.row for key in batch if key.weight > 0] for batch in others]
        assert sorted(row for batch in real for row in batch) == list(range(17))


def test_one_process_never_weighs_rows() -> None:
    keys = [key for batch in TrainBatchSampler(lengths(13), 4) for key in batch]
    assert [(key.weight, key.task_weight) for key in keys] == [(1.0, 1.0)] * 13


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("num_rows", "world_size"), [(13, 1), (16, 2), (9, 2), (25, 3), (40, 4)])
def test_task_weights_make_the_mean_over_the_labelled_rows_of_each_batch(
    num_rows: int, world_size: int, full: bool
) -> None:
    losses = np.random.default_rng(1).normal(size=num_rows)
    labelled = np.arange(num_rows) % 5 == 0
    samplers = [
        TrainBatchSampler(
            lengths(num_rows),
            4,
            rank=rank,
            world_size=world_size,
            labelled=labelled,
            full_batches=full,
        )
        for rank in range(world_size)
    ]
    seen = []
    for batch_of_ranks in zip(*samplers, strict=True):
        means = [
            np.mean([losses[k.row] * k.task_weight for k in batch]) for batch in batch_of_ranks
        ]
        real = [k.row for batch in batch_of_ranks for k in batch if k.weight > 0]
        known = [row for row in real if labelled[row]]
        assert np.mean(means) == pytest.approx(losses[known].mean() if known else 0.0)
        seen += real
    assert sorted(seen) == list(range(num_rows))


def test_a_batch_without_labels_has_task_weights_of_exactly_zero() -> None:
    sampler = TrainBatchSampler(lengths(8), 4, labelled=np.zeros(8, dtype=bool))
    assert [key.task_weight for batch in sampler for key in batch] == [0.0] * 8
    assert [key.weight for batch in sampler for key in batch] == [1.0] * 8


def test_starts_in_the_middle_with_exactly_the_remaining_batches() -> None:
    whole = TrainBatchSampler(lengths(100), 8, seed=5)
    whole.set_epoch(2)
    resumed = TrainBatchSampler(lengths(100), 8, seed=5)
    resumed.start_at(2, 4)
    resumed.set_epoch(2)  # Lightning calls it before each epoch
    assert len(resumed) == 13
    assert list(resumed) == list(whole)[4:]
    resumed.set_epoch(3)
    whole.set_epoch(3)
    assert list(resumed) == list(whole)


def test_a_position_of_another_epoch_is_dropped() -> None:
    sampler = TrainBatchSampler(lengths(100), 8)
    sampler.start_at(2, 4)
    sampler.set_epoch(3)
    assert len(list(sampler)) == 13


def test_grouping_by_length_leaves_less_than_six_percent_of_padding() -> None:
    sizes = lengths(4000)
    grouped = padding_factor(sizes, rows_of(list(TrainBatchSampler(sizes, 16))))
    shuffled = rows_of(list(TrainBatchSampler(sizes, 16, group_by_length=False)))
    assert grouped < 1.06
    assert padding_factor(sizes, shuffled) > 1.5


@pytest.mark.parametrize("num_rows", [1, 8, 101])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_neither_loses_nor_repeats_a_row(num_rows: int, world_size: int) -> None:
    sizes = lengths(num_rows)
    one = rows_of(list(EvalBatchSampler(sizes, 8)))
    ranks = [EvalBatchSampler(sizes, 8, rank=r, world_size=world_size) for r in range(world_size)]
    given = [list(sampler) for sampler in ranks]
    assert len({len(of_rank) for of_rank in given}) == 1  # sharded models compute together
    batches = rows_of([b for of_rank in given for b in of_rank if b[0].weight > 0])
    assert sorted(row for batch in batches for row in batch) == list(range(num_rows))
    # The very batches of one process, so that logits do not depend on the number of processes.
    assert sorted(batches) == sorted(one)
    assert [len(sampler) for sampler in ranks] == [len(list(sampler)) for sampler in ranks]


def test_evaluation_begins_with_the_longest_rows() -> None:
    batches = rows_of(list(EvalBatchSampler(np.array([3, 9, 5, 9, 1]), 2)))
    assert batches == [[1, 3], [2, 0], [4]]
