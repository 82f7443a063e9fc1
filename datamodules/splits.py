"""Stratified, seeded parts of a training set: folds, a held-back validation part, a subset."""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def stratified_order(labels: npt.NDArray[np.generic], seed: int) -> Rows:
    """Rows sorted by label, in random order within a label.

    Every k-th row of this order is a stratified k-th of the data, for classes as for regression
    targets.

    Args:
        labels: One label a row, ``[rows]``.
        seed: Seed of the order within equal labels.
    """
    tie_break = np.random.default_rng(seed).permutation(len(labels))
    return np.lexsort((tie_break, labels)).astype(np.int64)


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
    return np.flatnonzero(~held_back), np.flatnonzero(held_back)


def stratified_part(labels: npt.NDArray[np.generic], num_rows: int, seed: int) -> Rows:
    """A stratified subset of exactly ``num_rows`` rows, in ascending order.

    Args:
        labels: One label a row, ``[rows]``.
        num_rows: How many to take, at most ``rows``.
        seed: Seed of the choice.
    """
    order = stratified_order(labels, seed)
    # Row i of the order is taken when the running quota passes a whole number. Begun at a half,
    # the middle of each run of rows is taken; its end would favour high regression targets.
    quota = (np.arange(len(order) + 1) * num_rows + len(order) // 2) // len(order)
    return np.sort(order[np.diff(quota) > 0])
