"""Fractions of a run and epochs, in optimizer steps."""

import math
from typing import Literal

from lightning.pytorch import Trainer

from lightning_app.errors import InputError

Unit = Literal["fraction", "epochs", "steps"]
UNITS = ("fraction", "epochs", "steps")


def total_steps(trainer: Trainer, what: str) -> int:
    """Optimizer steps of the whole run.

    Args:
        trainer: Of a fit.
        what: For whom the length must be known, for the message.

    Raises:
        InputError: If it is unknown.
    """
    total = trainer.estimated_stepping_batches
    if total == float("inf"):
        raise InputError(f"Expected a run of known length for {what}; set `trainer.max_steps`.")
    return int(total)


def steps_per_unit(trainer: Trainer, unit: Unit, what: str) -> float:
    """Optimizer steps of the whole run (``fraction``), of an epoch, or 1.

    Args:
        trainer: Of a fit.
        unit: Of what is to be turned into steps.
        what: For whom the length must be known, for the message.
    """
    if unit == "steps":
        return 1.0
    if unit == "fraction":
        return total_steps(trainer, what)
    trainer.fit_loop.setup_data()  # otherwise the number of batches is not known yet
    return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
