import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from datamodules.splits import fold_rows, shuffled, stratified_order, stratified_part

CLASSES = np.random.default_rng(0).choice(3, size=203, p=[0.7, 0.25, 0.05])
TARGETS = np.random.default_rng(1).gamma(2.0, size=203)


def counts(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels, minlength=3)


@pytest.mark.parametrize("labels", [CLASSES, TARGETS], ids=["classes", "regression"])
@pytest.mark.parametrize("num_folds", [2, 5, 7])
def test_folds_are_disjoint_and_complete(labels: np.ndarray, num_folds: int) -> None:
    held_back = []
    for fold in range(num_folds):
        train, validation = fold_rows(labels, num_folds, fold, seed=3)
        assert sorted([*train, *validation]) == list(range(203))
        assert np.all(np.diff(train) > 0)
        assert np.all(np.diff(validation) > 0)
        held_back.extend(validation.tolist())
    assert sorted(held_back) == list(range(203))


@pytest.mark.parametrize("num_folds", [2, 5, 10])
def test_each_fold_has_its_share_of_each_class_within_one_row(num_folds: int) -> None:
    share = counts(CLASSES) / num_folds
    for fold in range(num_folds):
        validation = fold_rows(CLASSES, num_folds, fold, seed=3)[1]
        assert np.all(np.abs(counts(CLASSES[validation]) - share) < 1)


def test_folds_are_as_even_as_those_of_scikit_learn() -> None:
    reference = StratifiedKFold(5, shuffle=True, random_state=0).split(CLASSES, CLASSES)
    theirs = np.array([counts(CLASSES[validation]) for _, validation in reference])
    ours = np.array([counts(CLASSES[fold_rows(CLASSES, 5, f, 0)[1]]) for f in range(5)])
    # Per class the same fold sizes; which fold has the odd row is each one's own choice.
    assert np.array_equal(np.sort(ours, axis=0), np.sort(theirs, axis=0))


def test_regression_folds_have_the_same_distribution() -> None:
    quartiles = np.quantile(TARGETS, [0.25, 0.5, 0.75])
    for fold in range(5):
        part = TARGETS[fold_rows(TARGETS, 5, fold, seed=0)[1]]
        shares = [(part <= quartile).mean() for quartile in quartiles]
        assert shares == pytest.approx([0.25, 0.5, 0.75], abs=1.5 / len(part))


@pytest.mark.parametrize("num_rows", [1, 2, 20, 100, 202, 203])
def test_part_has_the_exact_size_and_the_share_of_each_class(num_rows: int) -> None:
    part = stratified_part(CLASSES, num_rows, seed=0)
    assert len(np.unique(part)) == len(part) == num_rows
    assert np.all(np.diff(part) > 0)
    share = counts(CLASSES) * num_rows / len(CLASSES)
    assert np.all(np.abs(counts(CLASSES[part]) - share) <= 1)


def test_part_of_a_regression_keeps_the_mean() -> None:
    part = stratified_part(TARGETS, 50, seed=0)
    assert TARGETS[part].mean() == pytest.approx(TARGETS.mean(), rel=0.05)


def test_the_seed_decides() -> None:
    first, again, other = (stratified_part(CLASSES, 40, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    folds = [fold_rows(CLASSES, 5, 0, seed)[1] for seed in (1, 1, 2)]
    assert np.array_equal(folds[0], folds[1])
    assert not np.array_equal(folds[0], folds[2])


def test_order_is_by_label() -> None:
    order = stratified_order(np.array([2, 0, 1, 0]), seed=0)
    assert sorted(order[:2].tolist()) == [1, 3]
    assert order[2:].tolist() == [2, 0]


def test_shuffled_is_numpys_permutation_in_half_the_bytes() -> None:
    ours, numpys = np.random.default_rng(3), np.random.default_rng(3)
    for num_rows in (0, 1, 1000):
        order = shuffled(num_rows, ours)
        assert order.tolist() == numpys.permutation(num_rows).tolist()
        assert order.itemsize == 4
    assert ours.random() == numpys.random()  # and as many draws


@pytest.mark.parametrize("num_rows", [1, 3, 66, 202])
def test_part_is_taken_where_the_quota_passes_a_whole_number(num_rows: int) -> None:
    order = stratified_order(CLASSES, seed=2)
    quota = (np.arange(204) * num_rows + 101) // 203
    expected = np.sort(order[np.diff(quota) > 0])
    assert np.array_equal(stratified_part(CLASSES, num_rows, seed=2), expected)
