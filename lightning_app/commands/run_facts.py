"""What the run that wrote a checkpoint says about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_app.run_folder import folder_of_checkpoint

_SHOWN_OF_DATA = ("task_name", "dataset", "train_file", "validation_file", "unlabelled")
_SHOWN_OF_TRAINER = ("max_epochs", "max_steps", "precision", "accumulate_grad_batches")


@dataclass(frozen=True)
class RunFacts:
    """From `config.yaml` and `metrics.json` of a run; empty where they are not.

    Args:
        data: Options of the data module, by name.
        model: Options of the module.
        trainer: Options of the Trainer.
        callbacks: Names of the callbacks that the configuration adds.
        scores: Metrics of the validation that the checkpoint was saved at.
        metrics: All of `metrics.json`.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    callbacks: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_checkpoint(cls, checkpoint: Path, step: int | None) -> "RunFacts":
        """Read them beside the checkpoint.

        Args:
            checkpoint: In the folder `checkpoints` of its run, or in the run's folder.
            step: Its global step, to find its validation by.
        """
        folder = folder_of_checkpoint(checkpoint)
        config, metrics = _yaml(folder / "config.yaml"), _json(folder / "metrics.json")
        trainer = _mapping(config.get("trainer"))
        names = [str(_mapping(c).get("class_path")) for c in trainer.get("callbacks") or ()]
        return cls(
            data=_options(config.get("data")),
            model=_mapping(config.get("model")),
            trainer=trainer,
            callbacks=tuple(name.rpartition(".")[2] for name in names),
            scores=_scores(metrics, step),
            metrics=metrics,
        )

    @property
    def max_seq_length(self) -> int | None:
        """That the run was trained with, in tokens."""
        value = self.data.get("max_seq_length")
        return value if isinstance(value, int) else None

    @property
    def shown(self) -> dict[str, Any]:
        """Options that a reader asks for first, without those that are not set."""
        options = {name: self.data.get(name) for name in (*_SHOWN_OF_DATA, "train_batch_size")}
        options |= {name: self.model.get(name) for name in ("learning_rate", "weight_decay")}
        options |= {name: self.trainer.get(name) for name in _SHOWN_OF_TRAINER}
        options |= {name: self.metrics.get(name) for name in ("steps", "epochs", "seed", "device")}
        return {name: value for name, value in options.items() if value is not None}


def _scores(metrics: Mapping[str, Any], step: int | None) -> dict[str, float]:
    entries = [_mapping(entry) for entry in metrics.get("history") or ()]
    found = [entry for entry in entries if entry.get("step") == step]
    return {k: v for entry in found[-1:] for k, v in entry.items() if k.startswith("val")}


def _options(data: Any) -> dict[str, Any]:
    options = _mapping(data)
    return _mapping(options.get("init_args", options))


def _yaml(file: Path) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        return _mapping(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, ValueError, yaml.YAMLError):  # a card is written without them
        return {}


def _json(file: Path) -> dict[str, Any]:
    try:
        return _mapping(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
