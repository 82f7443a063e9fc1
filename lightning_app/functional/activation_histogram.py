"""Where to cut a distribution of activations: from its histogram by percentile or by entropy."""

import torch
from torch import Tensor

NUM_BINS = 2048
NUM_LEVELS = 128
"""Magnitudes that signed 8 bits can say."""

_CHUNK = 2**22
"""`torch.histc` counts in float32, which is exact up to 2**24."""
_EMPTY = 1e-4
"""Probability of the last bin if it is empty itself and only what was cut off is in it."""


def histogram(values: Tensor, low: float, high: float, num_bins: int = NUM_BINS) -> Tensor:
    """Counts of values in bins of equal width, ``[num_bins]``, int64.

    Args:
        values: Any shape, all within the bounds.
        low: Left edge of the first bin.
        high: Right edge of the last bin, which it belongs to.
        num_bins: How many.
    """
    counts = torch.zeros(num_bins, dtype=torch.int64, device=values.device)
    for part in torch.split(values.detach().flatten(), _CHUNK):
        inside = part.float().clamp(low, high)  # bounds in float64 may be within by a rounding
        counts += torch.histc(inside, num_bins, low, high).long()
    return counts


def percentile_of_histogram(
    counts: Tensor, low: float, high: float, percentile: float
) -> tuple[float, float]:
    """The range without the outermost values, half of them at each side, to a bin's edge.

    No more values are outside than the percentile says.

    Args:
        counts: Of bins of equal width, ``[bins]``.
        low: Left edge of the first bin.
        high: Right edge of the last bin.
        percentile: Share of the values within, in per cent, in (0, 100]; 100 is all.

    Raises:
        ValueError: If the percentile is not in (0, 100].
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"Expected `percentile` to be in (0, 100], got {percentile}.")
    outside = int(int(counts.sum()) * (100 - percentile) / 200)
    if outside == 0:
        return low, high
    width = (high - low) / len(counts)
    below, above = (int((c.cumsum(0) <= outside).sum()) for c in (counts, counts.flip(0)))
    return low + below * width, high - above * width


def entropy_threshold(counts: Tensor, largest: float, num_levels: int = NUM_LEVELS) -> float:
    """The magnitude to clip at so that the least information is lost.

    Migacz 2017, "8-bit Inference with TensorRT" (GTC 2017, slides 26-38): of all thresholds that
    end at a bin, from ``num_levels`` bins on, the one where the distribution with all that is
    beyond put into its last bin (P) is nearest to itself merged into ``num_levels`` levels, each
    spread over those of its bins that were not empty (Q), by the Kullback-Leibler divergence of Q
    from P; of equals the largest. Where Q's last bin is empty and P's is not, the divergence would
    be infinite, and a lone value far out would forbid to clip anything: Q has 0.0001 there.

    Args:
        counts: Of magnitudes in bins of equal width from zero on, ``[bins]``.
        largest: Right edge of the last bin.
        num_levels: Of the integers, for magnitudes.

    Returns:
        A bin's right edge; ``largest`` where nothing is to be clipped.
    """
    num_bins = len(counts)
    if num_bins <= num_levels or int(counts.sum()) == 0:
        return largest
    divergences = _divergences(counts.double().cpu(), num_levels)
    best = len(divergences) - 1 - int(divergences.flip(0).argmin())
    kept = num_levels + best
    return largest if kept == num_bins else largest * kept / num_bins


def _divergences(counts: Tensor, num_levels: int) -> Tensor:
    """Of all thresholds at once, ``[bins - levels + 1]``: sums over bins from running sums."""
    kept = torch.arange(num_levels, len(counts) + 1)
    # A bin j of the first i is of the level floor(j * levels / i).
    edges = -(-torch.arange(num_levels + 1) * kept[:, None] // num_levels)
    in_level = _running_sum(counts)[edges].diff()
    nonempty_bins = _running_sum((counts > 0).double())[edges].diff()
    inside, total = in_level.sum(-1), counts.sum()
    density = in_level / (nonempty_bins.clamp(min=1) * inside.clamp(min=1)[:, None])
    last = counts[kept - 1]
    of_last = torch.where(last > 0, density[:, -1], _EMPTY)
    others = torch.where((last > 0) | (inside == total), 1.0, 1 - _EMPTY)
    beyond = total - inside
    # Of P log P the last bin's, which is another in P, is taken out and put in anew.
    of_p = _running_sum(_x_log_x(counts / total))[kept] - _x_log_x(last / total)
    of_p = of_p + _x_log_x((last + beyond) / total)
    cross = torch.xlogy(in_level, density).sum(-1) + torch.xlogy(beyond, of_last)
    return of_p - (cross + inside * others.log()) / total


def _running_sum(values: Tensor) -> Tensor:
    """``[n + 1]``, from zero."""
    return torch.cat((values.new_zeros(1), values.cumsum(0)))


def _x_log_x(values: Tensor) -> Tensor:
    return torch.xlogy(values, values)
