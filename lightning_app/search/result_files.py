"""What a search leaves: configurations, a table, pictures."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning_app.commands.whole_file import write_whole
from lightning_app.report.painter import paint
from lightning_app.report.searching import pictures
from lightning_app.search.recipe_trial import recipe_text
from lightning_app.search.results import Candidate, Findings

BEST = "best.yaml"
RESULT = "search.json"


def write_result(
    found: Findings,
    folder: Path,
    importances: Mapping[str, float] | None,
    winner: Mapping[str, Any] | None,
) -> list[Path]:
    """Write all files, each whole or not at all.

    Args:
        found: By the search; with at least one candidate.
        folder: Where to.
        importances: By key; None where unknown.
        winner: Of the fit on the whole training set; None where there was none.

    Returns:
        What was written.
    """
    files = {folder / BEST: config_text(found, found.best, folder / BEST)}
    if found.specification.has_several_objectives:
        (folder / "front").mkdir(exist_ok=True)
        for candidate in found.front:
            target = folder / "front" / f"{_file_name(found, candidate)}.yaml"
            files[target] = config_text(found, candidate, target)
    plain = _plain(found, importances, winner)
    for picture in pictures(plain):
        files[folder / f"{picture.name}.png"] = paint(picture, "light")
    files[folder / RESULT] = (json.dumps(plain, indent=1) + "\n").encode()
    for target, content in files.items():
        write_whole(target, content)
    return list(files)


def config_text(found: Findings, candidate: Candidate, target: Path) -> bytes:
    """A configuration that `glint fit --config` takes, or `glint compress --config`.

    Args:
        found: By the search.
        candidate: Whose values it has.
        target: Where it will lie, for the command on its top.
    """
    import yaml  # type: ignore[import-untyped]

    what = found.specification
    command = "compress" if what.is_of_recipes else "fit"
    named = zip(what.objectives, candidate.objectives, strict=True)
    reached = ", ".join(f"{name} {value:.4g}" for name, value in named)
    text = (
        f"# Trial {candidate.trial} of the search {what.name!r}: {reached}, cross-validated on"
        f" {what.folds_used} of {what.folds} folds of the training set.\n"
        f"#   glint {command} --config {target}\n"
    )
    config = found.config(candidate)
    if what.is_of_recipes:
        return text.encode() + recipe_text(config, f"{what.name}-{_file_name(found, candidate)}")
    written: str = yaml.safe_dump(config, sort_keys=False)
    return (text + written).encode()


def _file_name(found: Findings, candidate: Candidate) -> str:
    of_fit = "" if found.specification.is_of_recipes else f"-{candidate.epochs}-epochs"
    return f"trial-{candidate.trial}{of_fit}"


def _plain(
    found: Findings, importances: Mapping[str, float] | None, winner: Mapping[str, Any] | None
) -> dict[str, Any]:
    what = found.specification
    return {
        "name": what.name,
        "objectives": what.objectives,
        "space": what.space,
        "folds": what.folds,
        "folds_used": what.folds_used,
        "sampler": what.sampler,
        "pruner": what.pruner,
        "finished": found.num_finished,
        "stopped": found.num_stopped,
        "trained_epochs": found.trained,
        "fit_seconds": round(found.seconds, 1),
        "best": asdict(found.best),
        "front": [asdict(candidate) for candidate in found.front],
        "importances": importances,
        "winner": winner,
        "candidates": [asdict(candidate) for candidate in found.candidates],
    }
