"""Which weights are kept: boolean masks in the shape of the scores, True = kept.

Everywhere the lowest scores are pruned, of equal scores those that come first, and as many as the
sparsity says to the entry. What is pruned already stays pruned if its score is set to ``-inf``
and the sparsity does not fall.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_app.functional.importance import block_importance


def num_pruned(numel: int, sparsity: float) -> int:
    """Entries to prune: ``sparsity * numel``, rounded half up.

    Args:
        numel: Number of entries.
        sparsity: Share to prune, in [0, 1).

    Raises:
        ValueError: If the sparsity is not in [0, 1).
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"Expected `sparsity` to be in [0, 1), got {sparsity}.")
    return math.floor(sparsity * numel + 0.5)


def threshold_mask(scores: Tensor, sparsity: float) -> Tensor:
    """Unstructured: prunes exactly ``num_pruned(scores.numel(), sparsity)`` entries.

    Args:
        scores: Any shape and float type; infinities are allowed, NaN is not.
        sparsity: Share to prune, in [0, 1).

    Raises:
        ValueError: If the sparsity is not in [0, 1) or a score is NaN.
    """
    _refuse_nan(scores)
    flat = scores.detach().flatten()
    pruned = num_pruned(flat.numel(), sparsity)
    if pruned == 0:
        return torch.ones(scores.shape, dtype=torch.bool, device=scores.device)
    threshold = _kth_lowest(flat, pruned)
    mask = flat > threshold
    surplus = flat.numel() - pruned - int(mask.count_nonzero())
    if surplus:
        tied = (flat == threshold).nonzero().squeeze(-1)
        mask[tied[-surplus:]] = True
    return mask.view(scores.shape)


def global_threshold_masks(scores: Sequence[Tensor], sparsity: float) -> list[Tensor]:
    """Unstructured over all tensors together: layers with low scores lose more.

    Args:
        scores: Tensors of any shapes on one device, comparable with each other.
        sparsity: Share of all entries to prune, in [0, 1).

    Returns:
        One mask a tensor, each in a storage of its own.

    Raises:
        ValueError: If there are no tensors, the sparsity is not in [0, 1) or a score is NaN.
    """
    if not scores:
        raise ValueError("Expected `scores` to hold at least one tensor, got none.")
    mask = threshold_mask(torch.cat([s.detach().flatten() for s in scores]), sparsity)
    parts = mask.split_with_sizes([s.numel() for s in scores])
    # Own storage: safetensors refuses tensors that share one.
    return [part.view(s.shape).clone() for part, s in zip(parts, scores, strict=True)]


def block_mask(scores: Tensor, sparsity: float, block_shape: tuple[int, int]) -> Tensor:
    """Prunes whole blocks, those with the lowest sums of scores.

    Args:
        scores: ``[rows, cols]``.
        sparsity: Share of the blocks to prune, in [0, 1).
        block_shape: Rows and columns of a block; they must divide those of ``scores``.

    Raises:
        ValueError: If the blocks do not fit, the sparsity is not in [0, 1) or a score is NaN.
    """
    return _expand(threshold_mask(block_importance(scores, block_shape), sparsity), block_shape)


def global_block_masks(
    scores: Sequence[Tensor], sparsity: float, block_shape: tuple[int, int]
) -> list[Tensor]:
    """Prunes whole blocks over all matrices together.

    Args:
        scores: Matrices ``[rows, cols]`` on one device, comparable with each other.
        sparsity: Share of all blocks to prune, in [0, 1).
        block_shape: Rows and columns of a block; they must divide those of every matrix.

    Raises:
        ValueError: If the blocks do not fit, the sparsity is not in [0, 1) or a score is NaN.
    """
    pooled = [block_importance(matrix, block_shape) for matrix in scores]
    return [_expand(mask, block_shape) for mask in global_threshold_masks(pooled, sparsity)]


def row_mask(scores: Tensor, sparsity: float) -> Tensor:
    """Prunes whole rows: outputs of a linear layer.

    Args:
        scores: ``[rows, cols]``.
        sparsity: Share of the rows to prune, in [0, 1).

    Raises:
        ValueError: If ``scores`` is no matrix, the sparsity is not in [0, 1) or a score is NaN.
    """
    return block_mask(scores, sparsity, (1, scores.shape[-1]))


def column_mask(scores: Tensor, sparsity: float) -> Tensor:
    """Prunes whole columns: inputs of a linear layer.

    Args:
        scores: ``[rows, cols]``.
        sparsity: Share of the columns to prune, in [0, 1).

    Raises:
        ValueError: If ``scores`` is no matrix, the sparsity is not in [0, 1) or a score is NaN.
    """
    return block_mask(scores, sparsity, (scores.shape[0], 1))


def n_m_mask(scores: Tensor, n: int, m: int) -> Tensor:
    """Keeps exactly ``n`` of every ``m`` consecutive inputs, those with the highest scores.

    2:4 is what the sparse tensor cores of NVIDIA's Ampere and later multiply: Mishra et al.,
    "Accelerating Sparse Deep Neural Networks", 2021, arXiv:2104.08378, section 3.

    Args:
        scores: ``[..., inputs]``; infinities are allowed, NaN is not.
        n: Kept in each group, in [1, m).
        m: Size of a group; it must divide the number of inputs.

    Raises:
        ValueError: If ``n`` is not in [1, m), ``m`` does not divide the inputs or a score is NaN.
    """
    _check_groups(scores, n, m)
    _refuse_nan(scores)
    columns = torch.unflatten(scores.detach(), -1, (-1, m)).unbind(-1)
    # Ranks by comparing pairs: ten times as fast as a stable sort of groups this small.
    ranks = [torch.zeros_like(column, dtype=torch.int16) for column in columns]
    for later in range(m):
        for earlier in range(later):
            is_above = columns[later] >= columns[earlier]
            ranks[later] += is_above
            ranks[earlier] += ~is_above
    return torch.stack([rank >= m - n for rank in ranks], dim=-1).flatten(-2)


def n_m_sparsity(n: int, m: int) -> float:
    """Share of zeros where ``n`` of every ``m`` inputs are kept.

    Args:
        n: Kept in each group, in [1, m).
        m: Size of a group.

    Raises:
        ValueError: If ``n`` is not in [1, m).
    """
    _check_n(n, m)
    return (m - n) / m


def sparsity_of(masks: Sequence[Tensor]) -> float:
    """Share of pruned entries over all masks, in [0, 1].

    Args:
        masks: Bool, any shapes, on one device.

    Raises:
        ValueError: If the masks hold no entry.
    """
    total = _num_entries(masks)
    return (total - sum(int(mask.count_nonzero()) for mask in masks)) / total


def mask_churn(old: Sequence[Tensor], new: Sequence[Tensor]) -> float:
    """Share of entries that differ between two lists of masks, in [0, 1].

    Args:
        old: Bool, any shapes.
        new: Bool, the same shapes.

    Raises:
        ValueError: If the shapes differ or the masks hold no entry.
    """
    shapes = [[tuple(mask.shape) for mask in masks] for masks in (old, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Expected `new` to have the shapes {shapes[0]} of `old`, got {shapes[1]}."
        )
    changed = sum(int((a ^ b).count_nonzero()) for a, b in zip(old, new, strict=True))
    return changed / _num_entries(old)


def kept_bits(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask for :func:`zero_pruned_`: of what is kept all bits, of what is pruned none.

    Args:
        mask: Boolean, any shape.
        dtype: Of the floats that it will be applied to.

    Returns:
        Integers as wide as ``dtype``, in the shape of ``mask``.
    """
    return mask.to(_INTEGERS[dtype.itemsize]).neg_()


def zero_pruned_(tensor: Tensor, bits: Tensor) -> Tensor:
    """Set what is pruned to 0, in place; on a CPU the fastest way to (a third off a product).

    Args:
        tensor: Floats of any shape.
        bits: Of :func:`kept_bits`, in the same shape.
    """
    if tensor.device.type == "xla":  # which would take a view of another dtype to the host
        return tensor.masked_fill_(bits == 0, 0.0)
    tensor.view(bits.dtype).bitwise_and_(bits)
    return tensor


_MANY, _STRIDE = 1_000_000, 64
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def _kth_lowest(flat: Tensor, k: int) -> Tensor:
    # Not `kthvalue`: on a CPU it is quadratic where scores fall (a minute for 1.5 million).
    if flat.device.type == "cpu":
        values = flat.to(torch.promote_types(flat.dtype, torch.float32)).numpy()
        return flat.new_tensor(_kth_of_array(values, k))
    if k <= flat.numel() // 2:
        return flat.topk(k, largest=False, sorted=False).values.amax()
    return flat.topk(flat.numel() - k + 1, sorted=False).values.amin()


def _kth_of_array(values: Any, k: int) -> float:
    # NumPy's selection is vectorized: an eighth of the time of `topk`. Of many values a sample
    # says between which two the wanted one lies, and few need to be copied and put in order.
    if len(values) >= _MANY:
        sample = values[::_STRIDE].copy()
        sample.sort()
        place, margin = k / _STRIDE, 4 * math.sqrt(len(sample))
        low = sample[max(0, int(place - margin))]
        high = sample[min(len(sample) - 1, int(place + margin))]
        below = int((values < low).sum())
        near = values[(values >= low) & (values <= high)]
        if below < k <= below + len(near):
            near.partition(k - below - 1)
            return float(near[k - below - 1])
    values = values.copy()
    values.partition(k - 1)
    return float(values[k - 1])


def _expand(mask: Tensor, block_shape: tuple[int, int]) -> Tensor:
    rows, cols = block_shape
    tiles = mask[:, None, :, None].expand(-1, rows, -1, cols)
    return tiles.flatten(2, 3).flatten(0, 1)


def _num_entries(masks: Sequence[Tensor]) -> int:
    total = sum(mask.numel() for mask in masks)
    if total == 0:
        raise ValueError("Expected `masks` to hold at least one entry, got none.")
    return total


def _refuse_nan(scores: Tensor) -> None:
    # The maximum is NaN where any score is, and is sixteen times as fast as `isnan`.
    if scores.numel() and bool(scores.detach().amax().isnan()):
        raise ValueError("Expected `scores` without NaN, got some; did the training diverge?")


def _check_n(n: int, m: int) -> None:
    if not 1 <= n < m:
        raise ValueError(f"Expected `n` to be in [1, m), got n={n}, m={m}.")


def _check_groups(scores: Tensor, n: int, m: int) -> None:
    _check_n(n, m)
    inputs = scores.shape[-1]
    if inputs % m:
        sizes = [size for size in range(n + 1, inputs + 1) if inputs % size == 0]
        nearest = sorted(sorted(sizes, key=lambda size: abs(size - m))[:3])
        fits = f"m={', '.join(map(str, nearest))} would fit" if nearest else "no m would fit"
        raise ValueError(
            f"Expected `m` to divide the last dimension of `scores`, got m={m} for {inputs}"
            f" inputs; {fits}."
        )
