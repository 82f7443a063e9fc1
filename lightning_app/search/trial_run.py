"""One trial: its configuration, trained and scored on each fold, from rung to rung."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_app.checkpoint import newest_checkpoint
from lightning_app.commands.whole_file import write_whole
from lightning_app.errors import InputError
from lightning_app.search.keys import set_key
from lightning_app.search.prefix import SCHEDULE, decay_epochs
from lightning_app.search.specification import EPOCHS

SCORES = "scores.json"
FIT, TRUNK = "fit", "trunk"
_NEVER = 10_000  # epochs: a trunk's own score is of no use
RunFit = Callable[[Sequence[str], Path], float]
"""Runs `glint` with these arguments, logs into this folder, returns seconds."""


@dataclass(frozen=True)
class Rung:
    """What a trial has come to after some epochs.

    Args:
        epochs: Of training behind a model.
        scores: Of each fold.
        trained: Epochs that were computed for it, of all folds together.
        seconds: That they took.
        checkpoint: Of the model of the first fold; None where it is gone.
        measured: Objectives but the score, of a recipe's artifact; empty of a fit.
    """

    epochs: int
    scores: list[float]
    trained: int
    seconds: float
    checkpoint: Path | None
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Mean over the folds."""
        return sum(self.scores) / len(self.scores)


class TrialRun:
    """Trains a configuration fold by fold, and goes on where it was killed.

    Where one training serves all epoch counts, there is a trunk, whose learning rate stays, and for
    each count a branch off it, whose learning rate falls to the end. It is, bit for bit, the fit of
    that many epochs. Elsewhere one fit is paused at each rung.

    Args:
        config: Of the fit, with the trial's values.
        folder: Of the trial.
        folds: Parts of the training set.
        folds_used: How many of them are validated on.
        shares_prefix: Whether there is a trunk.
        run_fit: Runs a fit.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        folds: int,
        folds_used: int,
        shares_prefix: bool,
        run_fit: RunFit,
    ) -> None:
        self.config = dict(config)
        self.folder = folder
        self.folds = folds
        self.folds_used = folds_used
        self.shares_prefix = shares_prefix
        self._run_fit = run_fit
        folder.mkdir(parents=True, exist_ok=True)
        self._done: dict[str, Any] = read_or_empty(folder / SCORES)

    def rung(self, epochs: int, is_last: bool) -> Rung:
        """Train until then, unless it has been done, and score.

        Args:
            epochs: Of training.
            is_last: Whether the fit ends there.

        Raises:
            InputError: If a fit fails.
        """
        done = [self._on_fold(fold, epochs, is_last) for fold in range(self.folds_used)]
        place = self._run(0, self._name(epochs)) / "checkpoints/last.ckpt"
        return Rung(
            epochs,
            [entry["score"] for entry in done],
            sum(entry["epochs"] for entry in done),
            sum(entry["seconds"] for entry in done),
            place if place.is_file() else None,
        )

    def forget(self, epochs: int) -> None:
        """Remove the checkpoints of a branch; a hundred trials would fill the disk."""
        if self.shares_prefix:
            self._remove_checkpoints(self._name(epochs))

    def forget_all(self) -> None:
        """Remove the checkpoints of the trial; its scores, logs and configurations stay."""
        for place in self.folder.glob("fold-*/*/version_*/checkpoints"):
            shutil.rmtree(place, ignore_errors=True)

    def _on_fold(self, fold: int, epochs: int, is_last: bool) -> dict[str, Any]:
        key = f"{epochs}/{fold}"
        if key not in self._done:
            fit = self._branch if self.shares_prefix else self._part
            trained, seconds = fit(fold, epochs, is_last)
            score = self._score(fold, self._name(epochs))
            self._done[key] = {"score": score, "epochs": trained, "seconds": round(seconds, 2)}
            text = json.dumps(self._done, indent=1) + "\n"
            write_whole(self.folder / SCORES, text.encode())
        entry: dict[str, Any] = self._done[key]
        return entry

    def _branch(self, fold: int, epochs: int, is_last: bool) -> tuple[int, float]:
        """Train the trunk to where the branch leaves it, then the branch."""
        leaves_at = max(0, epochs - int(decay_epochs(self.config)))
        before = self._epochs_of(fold, TRUNK)
        seconds, start = 0.0, None
        if leaves_at > 0:
            trunk = set_key(self.config, f"callbacks.{SCHEDULE}.decay_epochs", 0.0)
            trunk = set_key(trunk, EPOCHS, leaves_at)
            trunk = set_key(trunk, "trainer.check_val_every_n_epoch", _NEVER)
            seconds += self._fit(fold, TRUNK, self._written(f"{TRUNK}-{leaves_at}", trunk))
            start = newest_checkpoint(self._run(fold, TRUNK).parent)
        own = set_key(self.config, EPOCHS, epochs)
        name = self._name(epochs)
        seconds += self._fit(fold, name, self._written(name, own), start)
        return max(0, leaves_at - before) + epochs - leaves_at, seconds

    def _part(self, fold: int, epochs: int, is_last: bool) -> tuple[int, float]:
        """Go on with the one fit until there."""
        config = self.config
        name = FIT
        if not is_last:
            trainer = dict(config.get("trainer") or {})
            pause = {
                "class_path": "lightning_app.search.pause.PauseAfterEpoch",
                "init_args": {"epochs": epochs},
            }
            trainer["callbacks"] = [*(trainer.get("callbacks") or []), pause]
            config, name = {**config, "trainer": trainer}, f"{FIT}-{epochs}"
        before = self._epochs_of(fold, FIT)
        seconds = self._fit(fold, FIT, self._written(name, config))
        return max(0, epochs - before), seconds

    def _name(self, epochs: int) -> str:
        return f"{epochs}-epochs" if self.shares_prefix else FIT

    def _fit(self, fold: int, name: str, config: Path, start: Path | None = None) -> float:
        root = self.folder / f"fold-{fold}"
        goes_on = newest_checkpoint(root / name) is not None
        if not goes_on:
            shutil.rmtree(root / name, ignore_errors=True)
        root.mkdir(exist_ok=True)
        from_where = "last" if goes_on or start is None else str(start)
        arguments = [
            "fit",
            f"--config={config}",
            f"--data.num_folds={self.folds}",
            f"--data.fold={fold}",
            f"--trainer.default_root_dir={root}",
            f"--name={name}",
            "--trainer.enable_progress_bar=false",
            "--trainer.enable_model_summary=false",
            f"--ckpt_path={from_where}",
        ]
        return self._run_fit(arguments, self.folder)

    def _written(self, name: str, config: Mapping[str, Any]) -> Path:
        import yaml  # type: ignore[import-untyped]

        target = self.folder / f"{name}.yaml"
        write_whole(target, yaml.safe_dump(dict(config), sort_keys=False).encode())
        return target

    def _run(self, fold: int, name: str) -> Path:
        return self.folder / f"fold-{fold}" / name / "version_0"

    def _score(self, fold: int, name: str) -> float:
        metrics = read_or_empty(self._run(fold, name) / "metrics.json")
        score = (metrics.get("last") or {}).get("val/score")
        if score is None:
            raise InputError(
                f"Expected a validation at the end of a trial's fit, but {str(self.folder)!r} has"
                " none; leave `trainer.limit_val_batches` and `check_val_every_n_epoch` as they"
                " are."
            )
        return float(score)

    def _epochs_of(self, fold: int, name: str) -> int:
        return int(read_or_empty(self._run(fold, name) / "metrics.json").get("epochs", 0))

    def _remove_checkpoints(self, name: str) -> None:
        for place in self.folder.glob(f"fold-*/{name}/version_*/checkpoints"):
            shutil.rmtree(place, ignore_errors=True)


def read_or_empty(file: Path) -> dict[str, Any]:
    """A JSON file of a mapping; nothing where it is missing or broken."""
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found
