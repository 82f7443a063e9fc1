import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_app.functional.masks import (
    _kth_lowest,
    block_mask,
    column_mask,
    global_block_masks,
    global_threshold_masks,
    kept_bits,
    mask_churn,
    n_m_mask,
    n_m_sparsity,
    num_pruned,
    row_mask,
    sparsity_of,
    threshold_mask,
    zero_pruned_,
)

SPARSITIES = [0.0, 0.1, 1 / 3, 0.5, 0.65, 0.9, 0.999]
SHAPES = [(1,), (7,), (2, 3), (16, 33), (3, 5, 7)]


def stable_sort_mask(scores: Tensor, pruned: int) -> list[bool]:
    order = np.argsort(scores.double().flatten().numpy(), kind="stable")
    mask = np.ones(scores.numel(), dtype=bool)
    mask[order[:pruned]] = False
    return list(mask)


def scores_of(kind: str, shape: tuple[int, ...], seed: int) -> Tensor:
    scores = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    match kind:
        case "equal":
            return torch.full(shape, 0.25)
        case "few values":
            return scores.round()
        case "half pruned":
            return scores.masked_fill(scores < 0, -torch.inf)
        case "bfloat16":
            return scores.bfloat16()
        case "float16":
            return scores.half()
        case "float64":
            return scores.double() * 1e-300
        case "falling":
            return scores.flatten().sort(descending=True).values.view(shape)
        case "transposed":
            return torch.randn(shape[::-1]).permute(*reversed(range(len(shape))))
    return scores


KINDS = ["equal", "few values", "half pruned", "bfloat16", "float16", "float64", "falling"]


@pytest.mark.parametrize("kind", ["normal", "transposed", *KINDS])
@pytest.mark.parametrize("shape", SHAPES)
def test_threshold_is_a_stable_sort(kind: str, shape: tuple[int, ...]) -> None:
    for seed, sparsity in enumerate(SPARSITIES):
        scores = scores_of(kind, shape, seed)
        mask = threshold_mask(scores, sparsity)
        pruned = num_pruned(scores.numel(), sparsity)
        assert mask.dtype == torch.bool
        assert mask.shape == scores.shape
        assert int((~mask).sum()) == pruned
        assert mask.flatten().tolist() == stable_sort_mask(scores, pruned)


def test_threshold_by_hand() -> None:
    scores = torch.tensor([[0.3, 0.1, 0.2], [0.1, 0.4, 0.1]])
    # Three are 0.1: the last of them survives.
    assert threshold_mask(scores, 1 / 3).tolist() == [[True, False, True], [False, True, True]]


def test_threshold_of_many_entries_is_exact() -> None:
    scores = torch.randn(300_000).round(decimals=2)
    for sparsity in (0.123456, 0.87):
        mask = threshold_mask(scores, sparsity)
        pruned = num_pruned(300_000, sparsity)
        assert mask.tolist() == stable_sort_mask(scores, pruned)


def test_masks_grow_monotonically_where_pruned_scores_are_minus_infinity() -> None:
    mask = torch.ones(40, 30, dtype=torch.bool)
    for sparsity in (0.1, 0.4, 0.4, 0.77, 0.95):
        scores = torch.randn(40, 30).masked_fill(~mask, -torch.inf)
        grown = threshold_mask(scores, sparsity)
        assert not (grown & ~mask).any()
        assert sparsity_of([grown]) == pytest.approx(sparsity, abs=1e-3)
        mask = grown


@pytest.mark.parametrize(
    ("numel", "sparsity", "expected"),
    [(4, 0.5, 2), (5, 0.5, 3), (1, 0.5, 1), (3, 0.5, 2), (10, 0.25, 3), (4, 0.999, 4), (9, 0.0, 0)],
)
def test_half_an_entry_is_rounded_up(numel: int, sparsity: float, expected: int) -> None:
    assert num_pruned(numel, sparsity) == expected


def test_count_is_never_more_than_half_an_entry_off() -> None:
    for numel in (1, 2, 49, 50, 384 * 1536, 2_359_296):
        for percent in range(100):
            pruned = num_pruned(numel, percent / 100)
            assert abs(pruned - Fraction(percent * numel, 100)) <= Fraction(1, 2)


@pytest.mark.parametrize("wrong", [1.2, 1.0, -0.1, math.nan])
def test_a_sparsity_outside_its_interval_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=rf"`sparsity` to be in \[0, 1\), got {wrong}\."):
        threshold_mask(torch.zeros(3), wrong)


def test_scores_that_are_not_numbers_are_refused() -> None:
    scores = torch.rand(1000)
    scores[617] = torch.nan
    with pytest.raises(ValueError, match="`scores` without NaN"):
        threshold_mask(scores, 0.5)
    with pytest.raises(ValueError, match="`scores` without NaN"):
        n_m_mask(scores, 2, 4)


def test_scores_in_autograd_make_a_plain_mask() -> None:
    scores = torch.randn(6, 6, requires_grad=True)
    for mask in (threshold_mask(scores, 0.5), n_m_mask(scores, 1, 2), row_mask(scores, 0.5)):
        assert not mask.requires_grad


def test_global_equals_threshold_of_everything_together() -> None:
    scores = [torch.randn(4, 6), torch.randn(5), torch.randn(2, 3, 2).bfloat16()]
    masks = global_threshold_masks(scores, 0.6)
    together = threshold_mask(torch.cat([s.flatten().float() for s in scores]), 0.6)
    assert torch.equal(torch.cat([mask.flatten() for mask in masks]), together)
    assert [mask.shape for mask in masks] == [s.shape for s in scores]
    assert sum(int((~mask).sum()) for mask in masks) == num_pruned(41, 0.6)


def test_global_takes_from_where_the_scores_are_low() -> None:
    low, high = global_threshold_masks([torch.rand(10), 1 + torch.rand(10)], 0.5)
    assert not low.any()
    assert high.all()


def test_global_masks_share_no_storage() -> None:
    first, second = global_threshold_masks([torch.rand(4), torch.rand(4)], 0.5)
    assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()
    assert first.untyped_storage().nbytes() == 4


def test_global_wants_a_tensor() -> None:
    with pytest.raises(ValueError, match="`scores` to hold at least one tensor, got none"):
        global_threshold_masks([], 0.5)
    with pytest.raises(ValueError, match="`scores` to hold at least one tensor, got none"):
        global_block_masks([], 0.5, (2, 2))


def test_blocks_by_hand() -> None:
    scores = torch.tensor([[1.0, 9, 2, 2], [1, 9, 2, 2], [3, 3, 0, 8], [3, 3, 0, 8]])
    # Sums of blocks: 20 and 8 above, 12 and 16 below.
    expected = [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2
    assert block_mask(scores, 0.5, (2, 2)).tolist() == expected


@pytest.mark.parametrize("block_shape", [(1, 1), (4, 1), (1, 8), (3, 4), (12, 16)])
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.8])
def test_blocks_are_whole_and_exactly_counted(
    block_shape: tuple[int, int], sparsity: float
) -> None:
    mask = block_mask(torch.rand(12, 16), sparsity, block_shape)
    rows, cols = block_shape
    tiles = mask.view(12 // rows, rows, 16 // cols, cols).transpose(1, 2).flatten(2)
    assert torch.equal(tiles.all(-1), tiles.any(-1))
    num_blocks = tiles.shape[0] * tiles.shape[1]
    assert int((~tiles.all(-1)).sum()) == num_pruned(num_blocks, sparsity)


def test_blocks_of_one_entry_are_unstructured() -> None:
    scores = torch.randn(6, 10)
    assert torch.equal(block_mask(scores, 0.35, (1, 1)), threshold_mask(scores, 0.35))


def test_global_blocks_equal_blocks_of_the_stacked_matrix() -> None:
    scores = torch.rand(12, 8)
    masks = global_block_masks([scores[:4], scores[4:]], 0.5, (2, 4))
    assert torch.equal(torch.cat(masks), block_mask(scores, 0.5, (2, 4)))


def test_block_masks_grow_where_pruned_scores_are_minus_infinity() -> None:
    first = block_mask(torch.rand(8, 8), 0.25, (2, 2))
    second = block_mask(torch.rand(8, 8).masked_fill(~first, -torch.inf), 0.5, (2, 2))
    assert not (second & ~first).any()


def test_rows_and_columns_by_hand() -> None:
    scores = torch.tensor([[1.0, 5, 1], [2, 2, 2]])
    assert row_mask(scores, 0.5).tolist() == [[True] * 3, [False] * 3]
    # Sums of columns are 3, 7, 3: of equals the first goes.
    assert column_mask(scores, 1 / 3).tolist() == [[False, True, True]] * 2


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(4, 4\) for \(8, 6\); did you mean \(4, 3\)\?"):
        block_mask(torch.zeros(8, 6), 0.5, (4, 4))


def test_two_of_four_by_hand() -> None:
    scores = torch.tensor([[4.0, 1, 3, 2, 0, 0, 0, 0], [-1, -2, -torch.inf, 5, 7, 7, 7, 1]])
    kept = [[1, 0, 1, 0, 0, 0, 1, 1], [1, 0, 0, 1, 0, 1, 1, 0]]
    assert n_m_mask(scores, 2, 4).int().tolist() == kept


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (1, 4), (3, 4), (4, 8), (5, 16)])
@pytest.mark.parametrize("kind", ["normal", *KINDS])
def test_each_group_is_a_stable_sort(kind: str, n: int, m: int) -> None:
    scores = scores_of(kind, (5, 48), seed=m)
    mask = n_m_mask(scores, n, m)
    assert mask.dtype == torch.bool
    groups = zip(scores.reshape(-1, m), mask.reshape(-1, m), strict=True)
    for group, kept in groups:
        assert int(kept.sum()) == n
        assert kept.tolist() == stable_sort_mask(group, m - n)
    assert sparsity_of([mask]) == pytest.approx(n_m_sparsity(n, m))


def test_sparsity_of_groups() -> None:
    assert [n_m_sparsity(2, 4), n_m_sparsity(1, 4), n_m_sparsity(4, 8)] == [0.5, 0.75, 0.5]


@pytest.mark.parametrize(
    ("inputs", "n", "m", "fits"),
    [
        (6, 2, 4, "m=3, 6 would fit"),
        (7, 2, 4, "m=7 would fit"),
        (770, 4, 8, "m=5, 7, 10 would fit"),
        (2, 2, 4, "no m would fit"),
    ],
)
def test_groups_that_do_not_fit_name_those_that_do(inputs: int, n: int, m: int, fits: str) -> None:
    with pytest.raises(ValueError, match=f"got m={m} for {inputs} inputs; {fits}"):
        n_m_mask(torch.zeros(3, inputs), n, m)


@pytest.mark.parametrize(("n", "m"), [(0, 4), (4, 4), (5, 4), (1, 1)])
def test_groups_keep_some_and_prune_some(n: int, m: int) -> None:
    with pytest.raises(ValueError, match=rf"`n` to be in \[1, m\), got n={n}, m={m}\."):
        n_m_mask(torch.zeros(3, 8), n, m)
    with pytest.raises(ValueError, match=rf"`n` to be in \[1, m\), got n={n}, m={m}\."):
        n_m_sparsity(n, m)


def test_sparsity_weighs_masks_by_their_size() -> None:
    large, small = torch.ones(9, dtype=torch.bool), torch.zeros(1, 3, dtype=torch.bool)
    assert sparsity_of([large]) == 0
    assert sparsity_of([small]) == 1
    assert sparsity_of([large, small]) == 0.25


def test_churn_counts_both_directions() -> None:
    old = [torch.tensor([True, True, False, False]), torch.tensor([[True], [True]])]
    new = [torch.tensor([True, False, True, False]), torch.tensor([[True], [False]])]
    assert mask_churn(old, new) == 0.5
    assert mask_churn(old, old) == 0
    assert mask_churn(old, [~mask for mask in old]) == 1


def test_churn_wants_the_same_shapes() -> None:
    with pytest.raises(ValueError, match=r"the shapes \[\(2,\)\] of `old`, got \[\(1,\), \(1,\)\]"):
        mask_churn([torch.ones(2).bool()], [torch.ones(1).bool(), torch.ones(1).bool()])


def test_shares_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="`masks` to hold at least one entry"):
        sparsity_of([])
    with pytest.raises(ValueError, match="`masks` to hold at least one entry"):
        mask_churn([torch.ones(0).bool()], [torch.ones(0).bool()])


@pytest.mark.parametrize("size", [1, 2, 7, 1000, 70_000])
@pytest.mark.parametrize(
    "kind", ["normal", "positive", "zeros of both signs", "infinite", "ties", "tiny"]
)
def test_selection_is_the_sorted_tensors(kind: str, size: int) -> None:
    scores = torch.randn(size, generator=torch.Generator().manual_seed(size))
    if kind == "positive":
        scores = scores.abs()
    elif kind == "zeros of both signs":
        scores = torch.where(scores > 0, 0.0, -0.0)
    elif kind == "infinite":
        scores[: size // 3] = -torch.inf
        scores[size // 2 : size // 2 + 2] = torch.inf
    elif kind == "ties":
        scores = scores.round()
    elif kind == "tiny":
        scores = scores * 1e-42  # subnormal
    ordered = scores.sort().values
    for k in {1, max(1, size // 3), max(1, size // 2), size}:
        assert _kth_lowest(scores, k) == ordered[k - 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_pruned_becomes_zero_and_the_rest_stays(dtype: torch.dtype) -> None:
    mask = torch.tensor([[True, False, True], [False, True, False]])
    values = torch.tensor([[1.5, -2.0, -torch.inf], [torch.inf, -0.25, 3.0]], dtype=dtype)
    expected = torch.tensor([[1.5, 0.0, -torch.inf], [0.0, -0.25, 0.0]], dtype=dtype)
    returned = zero_pruned_(values, kept_bits(mask, dtype))
    assert returned is values
    assert torch.equal(values, expected)


def test_selection_of_half_precision_is_its_own_value() -> None:
    scores = torch.randn(1001).to(torch.bfloat16)
    assert _kth_lowest(scores, 400) == scores.sort().values[399]


@pytest.mark.parametrize("shape", ["random", "ties", "pruned", "ordered"])
def test_exact_share_of_many_weights(shape: str) -> None:
    """More than a million are selected by way of a sample, which changes nothing."""
    scores = torch.rand(1_200_003, generator=torch.Generator().manual_seed(0))
    if shape == "ties":
        scores = (scores * 7).floor()
    elif shape == "pruned":
        scores[:700_000] = -torch.inf
    elif shape == "ordered":
        scores = scores.sort().values
    for sparsity in (1e-6, 0.3, 0.6, 0.99):
        mask = threshold_mask(scores, sparsity)
        count = num_pruned(len(scores), sparsity)
        assert int((~mask).sum()) == count
        lowest = torch.zeros_like(mask)
        lowest[torch.argsort(scores, stable=True)[:count]] = True
        torch.testing.assert_close(mask, ~lowest)
