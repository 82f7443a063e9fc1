"""The folder of a search."""

from pathlib import Path
from typing import Any

from lightning_app.report.files import mapping, read_json
from lightning_app.report.findings import Cost, Findings
from lightning_app.report.read_run import is_run, read_run
from lightning_app.search.result_files import BEST, RESULT
from lightning_app.search.winner import NAME as WINNER


def is_search(folder: Path) -> bool:
    """Whether a search has ended here."""
    return (folder / RESULT).is_file()


def read_search(folder: Path, name: str) -> Findings:
    """What a search found, and its winner as any other fit.

    Args:
        folder: `runs/search/NAME`.
        name: For the reader.

    Raises:
        InputError: If `search.json` cannot be read.
    """
    plain = read_json(folder / RESULT)
    run = _run_of_winner(folder, mapping(plain.get("winner")), mapping(plain["best"]))
    found = Findings() if run is None else read_run(run, f"{name}, winner")
    return Findings(
        **{
            **vars(found),
            "sources": ((name, "search"),),
            "costs": (Cost(f"{name}, trials", "search", float(plain["fit_seconds"])), *found.costs),
            "searches": ({**plain, "name": name},),
            "commands": (f"glint fit --config {folder / BEST}",),
        }
    )


def _run_of_winner(folder: Path, winner: dict[str, Any], best: dict[str, Any]) -> Path | None:
    """Of the fit on the whole training set; None where there was none or it is gone."""
    trial = winner.get("trial", best["trial"])
    run = folder / WINNER / f"trial-{trial}-{best['epochs']}" / WINNER / "version_0"
    return run if winner and is_run(run) else None
