"""Stratified, seeded parts of a training set: folds, a held-back validation part, a subset."""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int32]
"""Row numbers, in 4 bytes each: of a large set there are several such arrays."""


def shuffled(num_rows: int, rng: np.random.Generator) -> Rows:
    """The numbers below ``num_rows``, in random order; the very order of ``rng.permutation``."""
    return rng.permutation(np.arange(num_rows, dtype=np.int32))


def stratified_order(labels: npt.NDArray[np.generic], seed: int) -> Rows:
    """Rows sorted by label, in random order within a label.

    Every k-th row of this order is a stratified k-th of the data, for classes as for regression
    targets.

    Args:
        labels: One label a row, ``[rows]``.
        seed: Seed of the order within equal labels.
    """
    tie_break = shuffled(len(labels), np.random.default_rng(seed))
    return np.lexsort((tie_break, labels)).astype(np.int32)


def fold_rows(
    labels: npt.NDArray[np.generic], num_folds: int, fold: int, seed: int
) -> tuple[Rows, Rows]:
    """Training and validation rows of one fold of stratified cross-validation.

    Args:
        labels: One label a row, ``[rows]``.
        num_folds: At least 2.
        fold: The fold that is validated on, in ``[0, num_folds)``.
        seed: Seed of the assignment; the same for all folds of one cross-validation.

    Returns:
        Training rows and validation rows, each in ascending order.
    """
    held_back = np.zeros(len(labels), dtype=bool)
    held_back[stratified_order(labels, seed)[fold::num_folds]] = True
    return rows_where(~held_back), rows_where(held_back)


def stratified_part(labels: npt.NDArray[np.generic], num_rows: int, seed: int) -> Rows:
    """A stratified subset of exactly ``num_rows`` rows, in ascending order.

    Args:
        labels: One label a row, ``[rows]``.
        num_rows: How many to take, at most ``rows``.
        seed: Seed of the choice.
    """
    order = stratified_order(labels, seed)
    # A row of the order is taken when the running quota, `num_rows / rows` a row, passes a whole
    # number: the k-th at the first place i with (i + 1) * num_rows + rows // 2 >= k * rows. Begun
    # at a half, the middle of each run is taken; its end would favour high regression targets.
    quotas = np.arange(1, num_rows + 1) * len(order) - len(order) // 2
    return np.sort(order[-(-quotas // num_rows) - 1])


def rows_where(chosen: npt.NDArray[np.bool_]) -> Rows:
    """Numbers of the rows for which ``chosen`` is true, in ascending order."""
    return np.flatnonzero(chosen).astype(np.int32)
