"""Whether a classifier is right as often as it says."""

import torch
from torch import Tensor

NUM_BINS = 15


def expected_calibration_error(
    confidences: Tensor, hits: Tensor, num_bins: int = NUM_BINS
) -> float:
    """Mean difference of confidence and accuracy over bins of equal width, by rows.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3.

    Args:
        confidences: Probability of what was answered, ``[rows]``, in [0, 1].
        hits: Whether it was right, ``[rows]``.
        num_bins: Bins of [0, 1]; each holds its upper end.

    Raises:
        ValueError: If there are no rows.
    """
    if confidences.numel() == 0:
        raise ValueError("Expected `confidences` to hold at least one row, got none.")
    confidences, hits = confidences.double(), hits.double()
    bins = (confidences * num_bins).ceil().long().sub(1).clamp(0, num_bins - 1)
    zeros = torch.zeros(num_bins, dtype=torch.float64)
    gaps = zeros.index_add(0, bins, confidences - hits)
    return float(gaps.abs().sum() / len(confidences))
