"""What all callbacks that make a model smaller have in common."""

from abc import ABC, abstractmethod

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy

from lightning_app.errors import InputError
from modules.text_classifier import TextClassifier


class Compression(Callback, ABC):
    """A callback that changes weights or structure until a goal is reached.

    `RunCheckpoint` and `RunSummary` choose the best validation among those that come after all
    such callbacks have reached theirs: a dense model scores well, and is not what was asked for.
    """

    @property
    @abstractmethod
    def is_complete(self) -> bool:
        """Whether the goal (sparsity, structure) is reached."""

    def classifier(self, pl_module: LightningModule) -> TextClassifier:
        """The module, which must be one of ours.

        Raises:
            InputError: If it is another.
        """
        if not isinstance(pl_module, TextClassifier):
            raise InputError(
                f"Expected a `TextClassifier` for `callbacks.{type(self).__name__}`, got"
                f" {type(pl_module).__name__}."
            )
        return pl_module

    def refuse_shards(self, trainer: Trainer, why: str) -> None:
        """To be called at `setup` by what needs whole parameters.

        Args:
            trainer: Of the fit.
            why: What it does with them.

        Raises:
            InputError: If the strategy cuts them among processes.
        """
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise InputError(
                f"Expected a strategy with whole parameters for `callbacks.{type(self).__name__}`,"
                f" which {why}, got {type(trainer.strategy).__name__}, which cuts them among the"
                " processes; use `--config configs/trainer/ddp.yaml`."
            )

    def metrics(self) -> dict[str, float]:
        """What the monitor writes to the logger, by name under ``compression/``."""
        return {}

    def course(self, step: int) -> dict[str, float | str]:
        """What holds from this optimizer step on, by name, for `glint plan`; from `on_fit_start`.

        Numbers that change for the last time where the goal is reached.
        """
        return {}


def is_eligible(trainer: Trainer) -> bool:
    """Whether the model as it is now may be called the best: all compression is complete."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return all(c.is_complete for c in callbacks if isinstance(c, Compression))
