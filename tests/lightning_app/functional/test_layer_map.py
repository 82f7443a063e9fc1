import itertools

import pytest
import torch

from lightning_app.functional.layer_map import (
    even_layers,
    kept_layers,
    last_layers,
    nearest_in_order,
)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (4, 12, [3, 6, 9, 12]),  # TinyBERT's
        (3, 6, [2, 4, 6]),
        (1, 6, [6]),
        (4, 6, [2, 3, 4, 6]),
        (6, 6, [1, 2, 3, 4, 5, 6]),
        (4, 2, [1, 1, 2, 2]),
    ],
)
def test_even_layers(student: int, teacher: int, expected: list[int]) -> None:
    assert even_layers(student, teacher) == expected


def test_last_layers() -> None:
    assert last_layers(3, 12) == [10, 11, 12]
    with pytest.raises(ValueError, match="`num_teacher_layers` to be at least 3, got 2"):
        last_layers(3, 2)


@pytest.mark.parametrize(
    ("steps", "teacher", "expected"),
    [
        ([], 3, [1, 2, 3]),
        ([[0, 2, 5]], 6, [1, 3, 6]),
        ([[0, 1, 2]], 6, [1, 2, 6]),  # the last gives the answer
        ([[0, 2, 3, 5], [1, 3]], 6, [3, 6]),
        ([[0, 2, 3, 5], [1, 3]], 4, [2, 4]),  # the teacher had been cut before
        ([[0, 5]], 4, None),  # another's
    ],
)
def test_kept_layers(steps: list[list[int]], teacher: int, expected: list[int] | None) -> None:
    assert kept_layers(steps, teacher) == expected


def test_the_nearest_do_not_cross() -> None:
    distances = torch.tensor([[9.0, 1.0, 5.0], [0.0, 2.0, 3.0]])
    # Each for itself would choose 1 and 0; in order, 1 and 1 is the least in total.
    assert nearest_in_order(distances) == [1, 1]


def test_the_nearest_in_order_are_the_best_of_all() -> None:
    draw = torch.Generator().manual_seed(0)
    for teacher, student in itertools.product((1, 2, 3, 4), (1, 3, 5)):
        distances = torch.rand(teacher, student, generator=draw)
        found = nearest_in_order(distances)
        assert found == sorted(found)
        choices = itertools.combinations_with_replacement(range(student), teacher)
        totals = [sum(distances[t, s] for t, s in enumerate(choice)) for choice in choices]
        total = sum(distances[t, s] for t, s in enumerate(found))
        assert float(total) == pytest.approx(float(min(totals)))
