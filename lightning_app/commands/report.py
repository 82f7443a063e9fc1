"""A page about runs and artifacts, rebuilt from disk: `glint report`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from lightning_app.report.blocks import Section
    from lightning_app.report.findings import Findings

FOLDER = "report"
DEFAULT_ROWS = 2000


class Report:
    """Writes one HTML page that needs no network, and Markdown with pictures, about any runs and
    artifacts: what was traded, scores with intervals, structure, learning curves, sensitivity,
    what changed against the teacher, cost, and the commands that led there.

    Everything is read from disk; the same files give the same page, byte for byte.

    Args:
        runs: Folders of fits (runs/NAME/version_N, runs/NAME/seeds_N), of `glint compress`
            (runs/compress/NAME), of `glint search` (runs/search/NAME) and of `glint export`, and
            JSON files of benchmark, sensitivity and quantize.
        output: Folder to write to; by default `report` in the first of them, or in the working
            directory where that is a file or an artifact.
        title: Of the page; by default the names of the runs.
        predictions: Let the reference and the chosen model answer the validation rows, to show
            what changed.
        max_rows: Of these, drawn at random where there are more.
        threads: To compute answers with; by default the cores that this process may use.

    Raises:
        InputError: If an option has a value that cannot be.
    """

    def __init__(
        self,
        runs: Sequence[str],
        output: str | None = None,
        title: str | None = None,
        predictions: bool = True,
        max_rows: int = DEFAULT_ROWS,
        threads: int | None = None,
    ) -> None:
        self.runs = tuple(runs)
        self.output = _default_output(Path(runs[0])) if output is None else Path(output)
        self.title = title
        self.predictions = predictions
        self.max_rows = max_rows
        self.threads = threads
        if max_rows < 1:
            raise InputError(f"Expected `--max_rows` to be at least 1, got {max_rows}.")
        if threads is not None and threads < 1:
            raise InputError(f"Expected `--threads` to be at least 1, got {threads}.")

    def run(self) -> list[Path]:
        """Read, and write the files; the page comes first.

        Raises:
            InputError: If one of the runs is none, or nothing can be written.
        """
        from lightning_app.report.overview import headline
        from lightning_app.report.reading import read_all, short_names
        from lightning_app.report.writing import write_report

        found = read_all(self.runs)
        _check_output(self.output)
        title = self.title or ", ".join(short_names(self.runs))
        return write_report(self.output, title, headline(found), self._sections(found))

    def _sections(self, found: "Findings") -> "list[Section]":
        from lightning_app.report import overview, searching, sections

        return [
            overview.overview(found),
            overview.models(found),
            searching.searches(found),
            sections.structure(found),
            sections.learning(found),
            sections.sensitivity(found),
            self._changes(found),
            sections.cost(found),
            sections.reproduce(found, self._command),
        ]

    def _changes(self, found: "Findings") -> "Section":
        from lightning_app.report import changes

        if not self.predictions:
            return changes.skipped()
        return changes.changes(found, self.max_rows, self.threads)

    @property
    def _command(self) -> str:
        given = [*self.runs, "--output", str(self.output)]
        given += [] if self.title is None else ["--title", self.title]
        given += [] if self.predictions else ["--no_predictions"]
        return shlex.join(["glint", "report", *given])


def _default_output(first: Path) -> Path:
    from lightning_app.report.read_artifact import is_artifact

    return first / FOLDER if first.is_dir() and not is_artifact(first) else Path(FOLDER)


def _check_output(folder: Path) -> None:
    from lightning_app.report.read_artifact import is_artifact

    if is_artifact(folder) or is_artifact(folder.parent):
        raise InputError(
            f"Expected `--output` to be outside of an artifact, whose files are checked, got"
            f" {str(folder)!r}; choose another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"Expected `--output` to be a folder to write to, got {str(folder)!r}:"
            f" {error.strerror}."
        ) from error
