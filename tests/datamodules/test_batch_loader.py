import numpy as np
import pytest
import torch
from datasets import Dataset

from datamodules.batch_loader import BatchLoader
from datamodules.batch_sampler import EvalBatchSampler, TrainBatchSampler
from datamodules.collator import PaddingCollator
from datamodules.tokenization import TokenizedRows

LENGTHS = np.random.default_rng(0).integers(3, 40, 50)


def train_loader(num_workers: int = 0) -> BatchLoader:
    rows = TokenizedRows(Dataset.from_dict({"input_ids": [[1] * int(n) for n in LENGTHS]}))
    sampler = TrainBatchSampler(LENGTHS, 8, seed=1)
    return BatchLoader(rows, sampler, PaddingCollator(), num_workers=num_workers)


def indices(loader: BatchLoader) -> list[list[int]]:
    return [batch["index"].tolist() for batch in loader]


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("used", [1, 3, 6])
def test_goes_on_with_the_first_batch_not_given_yet(used: int, num_workers: int) -> None:
    whole = indices(train_loader())
    interrupted = train_loader(num_workers)
    batches = iter(interrupted)
    before = [next(batches)["index"].tolist() for _ in range(used)]
    # Not what a worker has prefetched.
    assert interrupted.state_dict() == {"epoch": 0, "batches_given": used}
    resumed = train_loader()
    resumed.load_state_dict(interrupted.state_dict())
    assert before + indices(resumed) == whole


def test_after_the_last_batch_the_next_epoch_begins() -> None:
    loader = train_loader()
    assert len(indices(loader)) == len(loader) == 7
    assert loader.state_dict() == {"epoch": 0, "batches_given": 7}
    resumed, expected = train_loader(), train_loader()
    resumed.load_state_dict(loader.state_dict())
    expected.sampler.set_epoch(1)
    assert indices(resumed) == indices(expected)


def test_a_resumed_epoch_counts_from_its_beginning() -> None:
    loader = train_loader()
    loader.load_state_dict({"epoch": 3, "batches_given": 2})
    next(iter(loader))
    assert loader.state_dict() == {"epoch": 3, "batches_given": 3}


def test_a_loaded_position_is_saved_again_before_the_first_batch() -> None:
    loader = train_loader()
    loader.load_state_dict({"epoch": 3, "batches_given": 2})
    assert loader.state_dict() == {"epoch": 3, "batches_given": 2}


def test_an_epoch_draws_nothing_from_the_global_generator() -> None:
    state = torch.get_rng_state()
    indices(train_loader())
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluation_always_begins_at_the_first_batch() -> None:
    rows = TokenizedRows(Dataset.from_dict({"input_ids": [[1] * int(n) for n in LENGTHS]}))
    loader = BatchLoader(rows, EvalBatchSampler(LENGTHS, 8), PaddingCollator())
    whole = indices(loader)
    loader.load_state_dict({"epoch": 0, "batches_given": 3})
    assert indices(loader) == whole
    assert sorted(row for batch in whole for row in batch) == list(range(50))
