"""What `TextClassifier` can be trained with."""

from typing import get_args

from lightning_app.errors import InputError
from lightning_app.functional.learning_rate import Scaling


def check_training_arguments(
    learning_rate: float,
    layer_decay: float,
    hidden_dropout: float | None,
    attention_dropout: float | None,
    scale_learning_rate: Scaling | None,
) -> None:
    """Refuse what is out of range.

    Raises:
        InputError: For the first that is.
    """
    if learning_rate <= 0:
        raise InputError(f"Expected `model.learning_rate` to be above 0, got {learning_rate}.")
    if not 0 < layer_decay <= 1:
        raise InputError(f"Expected `model.layer_decay` to be in (0, 1], got {layer_decay}.")
    for name, value in (
        ("hidden_dropout", hidden_dropout),
        ("attention_dropout", attention_dropout),
    ):
        if value is not None and not 0 <= value < 1:
            raise InputError(f"Expected `model.{name}` to be in [0, 1), got {value}.")
    if scale_learning_rate not in (None, *get_args(Scaling)):
        raise InputError(
            "Expected `model.scale_learning_rate` to be linear, sqrt or none, got"
            f" {scale_learning_rate!r}."
        )
