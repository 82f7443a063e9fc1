"""One trial of a recipe: run on each fold, and measured on its artifact."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_app.commands.whole_file import write_whole
from lightning_app.errors import InputError
from lightning_app.search.recipe_space import STAGES
from lightning_app.search.trial_run import SCORES, RunFit, Rung, read_or_empty

NAME = "recipe"
RECIPE = f"{NAME}.yaml"
RESULT = "compress.json"
_KEPT = ("log.txt", "config.yaml", "metrics.json")
_EVENTS = "events.out.tfevents"


class RecipeTrial:
    """Runs a recipe fold by fold, and goes on where it was killed.

    All trials of a worker work in one folder: what does not depend on the space, a teacher say, is
    there once, by the hash of what it follows from.

    Args:
        config: The recipe, with the trial's values.
        values: These, by key, for TensorBoard.
        folder: Of the trial.
        place: Of the worker's recipes.
        folds: Parts of the training set.
        folds_used: How many of them are validated on.
        changing: Names of the stages whose result depends on the space.
        run: Runs `glint`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        values: Mapping[str, Any],
        folder: Path,
        place: Path,
        folds: int,
        folds_used: int,
        changing: set[str],
        run: RunFit,
    ) -> None:
        self.config = config
        self.values = values
        self.folder = folder
        self.place = place
        self.folds = folds
        self.folds_used = folds_used
        self.changing = changing
        self._run_glint = run
        folder.mkdir(parents=True, exist_ok=True)
        self._done: dict[str, Any] = read_or_empty(folder / SCORES)

    def rung(self, epochs: int, is_last: bool) -> Rung:
        """Run it on every fold; there is but one rung.

        Args:
            epochs: A recipe has none of its own; it is given back.
            is_last: As above.

        Raises:
            InputError: If a stage fails.
        """
        done = [self._on_fold(fold) for fold in range(self.folds_used)]
        measured = {name: done[0][name] for name in ("latency_ms", "size_mb", "parameters")}
        scores = [entry["score"] for entry in done]
        self._show(sum(scores) / len(scores), measured)
        trained, seconds = (sum(entry[name] for entry in done) for name in ("epochs", "seconds"))
        return Rung(epochs, scores, trained, seconds, None, measured)

    def forget(self, epochs: int) -> None:
        """Nothing: there is no later rung."""

    def forget_all(self) -> None:
        """Remove checkpoints and artifacts that no other trial begins with; logs stay."""
        for fold in range(self.folds_used):
            home = self.place / f"fold-{fold}" / NAME
            shutil.rmtree(home / "artifacts", ignore_errors=True)
            for folder in home.glob("[0-9]*-*"):
                name = folder.name.partition("-")[2].rpartition("-")[0].partition("@")[0]
                if name in self.changing:
                    _empty(folder)

    def _on_fold(self, fold: int) -> dict[str, Any]:
        key = str(fold)
        if key not in self._done:
            self._done[key] = self._run(fold)
            text = json.dumps(self._done, indent=1) + "\n"
            write_whole(self.folder / SCORES, text.encode())
        entry: dict[str, Any] = self._done[key]
        return entry

    def _run(self, fold: int) -> dict[str, Any]:
        root = self.place / f"fold-{fold}"
        home = root / NAME
        write_whole(self.folder / RECIPE, recipe_text(self.config, NAME))
        before = {file.parent for file in home.glob("*/finished.json")}
        seconds = self._run_glint(
            [
                "compress",
                f"--config={self.folder / RECIPE}",
                f"--root={root}",
                "--no_estimate",
                f"--data.num_folds={self.folds}",
                f"--data.fold={fold}",
                "--trainer.enable_progress_bar=false",
                "--trainer.enable_model_summary=false",
            ],
            self.folder,
        )
        found = json.loads((home / RESULT).read_text("utf-8"))
        fits = [home / stage["folder"] for stage in found["stages"] if stage["kind"] == "fit"]
        trained = sum(_epochs(folder) for folder in fits if folder not in before)
        return {**chosen(found), "epochs": trained, "seconds": round(seconds, 2)}

    def _show(self, score: float, measured: Mapping[str, float]) -> None:
        """In TensorBoard's HParams tab."""
        from torch.utils.tensorboard import SummaryWriter

        plain = (bool, int, float, str)
        options = {k: v if isinstance(v, plain) else str(v) for k, v in self.values.items()}
        metrics = {f"hp/{name}": value for name, value in {"score": score, **measured}.items()}
        with SummaryWriter(str(self.folder)) as writer:
            writer.add_hparams(options, metrics, run_name=".")


def recipe_text(config: Mapping[str, Any], name: str) -> bytes:
    """What `glint compress --config` takes."""
    import yaml  # type: ignore[import-untyped]

    text: str = yaml.safe_dump({"name": name, "base": [], **config}, sort_keys=False)
    return text.encode()


def chosen(found: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured of the artifact that a recipe has ended with.

    Args:
        found: Contents of `compress.json`.

    Raises:
        InputError: If nothing was.
    """
    names = ("score", "latency_ms", "size_mb", "parameters")
    by_name = {result["name"]: result for result in found["results"]}
    result = by_name.get(found["chosen"]) or {}
    missing = [name for name in names if result.get(name) is None]
    if missing:
        raise InputError(
            f"Expected the recipe's benchmark to measure `{missing[0]}` of its artifact, at the"
            f" target's batch size and length, got {', '.join(by_name) or 'no artifact'}; leave"
            f" `{STAGES}` of kind `benchmark` as they are by default."
        )
    return {"artifact": result["artifact"], **{name: float(result[name]) for name in names}}


def _epochs(folder: Path) -> int:
    return int(read_or_empty(folder / "fit/version_0/metrics.json").get("epochs", 0))


def _empty(folder: Path) -> None:
    """Of all but logs, configurations and TensorBoard's events."""
    files: Sequence[Path] = [file for file in folder.rglob("*") if not file.is_dir()]
    for file in files:
        if file.name not in _KEPT and not file.name.startswith(_EVENTS):
            file.unlink()
