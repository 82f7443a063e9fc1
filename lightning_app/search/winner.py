"""The best configuration, trained on the whole training set and looked at once."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning_app.commands.whole_file import write_whole
from lightning_app.errors import InputError
from lightning_app.search.recipe_trial import RESULT, chosen, recipe_text
from lightning_app.search.results import Candidate, Findings
from lightning_app.search.trial_run import RunFit

NAME = "winner"
_DONE = "winner.json"
_NOTHING_ELSE = "trainer.check_val_every_n_epoch"


def fit_winner(
    found: Findings, candidate: Candidate, run_fit: RunFit, say: Callable[[str], None]
) -> dict[str, Any]:
    """Train it, unless it is done, and validate it at its end alone.

    Args:
        found: By the search.
        candidate: The winner.
        run_fit: Runs a fit.
        say: Is told that it begins.

    Returns:
        ``trial``, ``score`` (and all ``metrics``) on the validation set, ``seconds``, and the paths
        of ``config`` and ``checkpoint``; of a recipe, of ``config``, ``recipe`` and ``artifact``.

    Raises:
        InputError: If the fit fails.
    """
    from filelock import FileLock

    folder = Path(found.specification.folder) / NAME / f"trial-{candidate.trial}-{candidate.epochs}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # another machine may have come to the same end
        if not (folder / _DONE).is_file():
            say(f"training trial {candidate.trial} on the whole training set")
            seconds = run_fit(_arguments(found, candidate, folder), folder)
            of_recipe = found.specification.is_of_recipes
            outcome = _outcome_of_recipe if of_recipe else _outcome
            write_whole(folder / _DONE, outcome(candidate, folder, seconds))
        done: dict[str, Any] = json.loads((folder / _DONE).read_text("utf-8"))
    return done


def _arguments(found: Findings, candidate: Candidate, folder: Path) -> Sequence[str]:
    import yaml  # type: ignore[import-untyped]

    config = folder / "config.yaml"
    if found.specification.is_of_recipes:
        write_whole(config, recipe_text(found.config(candidate), NAME))
        return ["compress", f"--config={config}", f"--root={folder}", "--no_estimate"]
    text = yaml.safe_dump(found.config(candidate), sort_keys=False)
    write_whole(config, text.encode())
    return [
        "fit",
        f"--config={config}",
        f"--{_NOTHING_ELSE}={candidate.epochs}",
        f"--trainer.default_root_dir={folder}",
        f"--name={NAME}",
        "--trainer.enable_model_summary=false",
        "--ckpt_path=last",
    ]


def _outcome_of_recipe(candidate: Candidate, folder: Path, seconds: float) -> bytes:
    found = json.loads((folder / NAME / RESULT).read_text("utf-8"))
    artifact = chosen(found)
    plain = {
        "trial": candidate.trial,
        "score": artifact["score"],
        "metrics": {name: value for name, value in artifact.items() if name != "artifact"},
        "seconds": round(seconds, 1),
        "config": str(folder / "config.yaml"),
        "recipe": str(folder / NAME),
        "artifact": str(folder / NAME / artifact["artifact"]),
    }
    return (json.dumps(plain, indent=1) + "\n").encode()


def _outcome(candidate: Candidate, folder: Path, seconds: float) -> bytes:
    run = folder / NAME / "version_0"
    last = json.loads((run / "metrics.json").read_text("utf-8"))["last"]
    if "val/score" not in last:
        raise InputError(
            f"Expected the winner to be validated at its end, but {str(run)!r} has no val/score."
        )
    plain = {
        "trial": candidate.trial,
        "score": last["val/score"],
        "metrics": {name: value for name, value in last.items() if name.startswith("val/")},
        "seconds": round(seconds, 1),
        "config": str(run / "config.yaml"),
        "checkpoint": str(run / "checkpoints/last.ckpt"),
    }
    return (json.dumps(plain, indent=1) + "\n").encode()
