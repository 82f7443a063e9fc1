"""What is fitted under each strategy."""

from collections.abc import Callable

from lightning.pytorch import Callback

from callbacks import (
    Distillation,
    LearningRateSchedule,
    MagnitudePruning,
    QuantizationAwareTraining,
    StructuredPruning,
)
from tests.callbacks.all_callbacks import CASES, OBSERVED, STEPS

ALIKE = {
    "magnitude_one_shot",
    "magnitude_blocks",
    "magnitude_2:4",
    "movement_global",
    "second_order_blocks",
    "structured_gradual_parameters",
    "operators_relu",
}
"""To several processes they are what another case is: time is short."""


def _pruned() -> list[Callback]:
    return [
        StructuredPruning(heads=0.5, neurons=0.5, num_samples=16),
        Distillation(hidden_states=1.0),
        LearningRateSchedule(warmup_fraction=0.2),
    ]


FITS: dict[str, Callable[[], list[Callback]]] = {
    **{
        case.name: lambda make=case.make: [make()]  # type: ignore[misc]
        for case in CASES
        if case.name not in ALIKE
    },
    "recipe": lambda: [*_pruned(), MagnitudePruning(sparsity=0.5, schedule=STEPS)],
    "recipe_quantized": lambda: [*_pruned(), QuantizationAwareTraining(**OBSERVED)],
}
"""Callbacks of a fit of 14 steps, by name; a new callback of the matrix is among them."""
