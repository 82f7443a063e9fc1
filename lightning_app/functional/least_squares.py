"""Least squares where no coefficient may be negative."""

import torch
from torch import Tensor

_TOLERANCE = 1e-10


def nonnegative_least_squares(matrix: Tensor, target: Tensor) -> Tensor:
    """The ``x >= 0`` for which ``|matrix @ x - target|`` is least.

    Lawson & Hanson 1974, "Solving Least Squares Problems", chapter 23: coefficients enter one at a
    time, the one first that the residual wants most, and leave where they would turn negative.

    Args:
        matrix: ``[equations, coefficients]``.
        target: ``[equations]``.

    Returns:
        ``[coefficients]``, float64.
    """
    matrix, target = matrix.double(), target.double()
    size = matrix.shape[1]
    found = torch.zeros(size, dtype=torch.float64)
    free = torch.zeros(size, dtype=torch.bool)
    smallest = _TOLERANCE * float(matrix.abs().max()) * float(target.abs().max().clamp_min(1e-300))
    for _ in range(3 * size):  # each round ends better than the last; twice the size is rare
        wanted = (matrix.T @ (target - matrix @ found)).masked_fill(free, -torch.inf)
        if free.all() or float(wanted.max()) <= smallest:
            break
        free[wanted.argmax()] = True
        found, free = _settled(matrix, target, found, free)
    return found


def _settled(matrix: Tensor, target: Tensor, found: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """The best of the free coefficients, less those that it would take below zero."""
    while True:
        best = torch.zeros_like(found)
        best[free] = torch.linalg.lstsq(matrix[:, free], target, driver="gelsd").solution
        below = free & (best <= 0)
        if not below.any():
            return best, free
        # As far as the first one that reaches zero.
        steps = found[below] / (found[below] - best[below]).clamp_min(1e-300)
        found = found + float(steps.min()) * (best - found)
        free = free & (found > _TOLERANCE * found.abs().max())
        found = found * free
