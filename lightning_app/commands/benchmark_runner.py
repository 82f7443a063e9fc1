"""The worker's side of `glint benchmark`: one artifact, loaded, that does what it is asked."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.commands.call_timer import CallTimer, Cell, Columns

if TYPE_CHECKING:
    from lightning_app.artifact.text_model import TextModel


@dataclass(frozen=True)
class Contender:
    """What is measured.

    Args:
        name: In tables.
        folder: An artifact; for a baseline, the one that it stands beside.
        baseline: ``eager`` or ``compile``; None for the artifact itself.
        checkpoint: Of a baseline.
    """

    name: str
    folder: str
    baseline: str | None = None
    checkpoint: str | None = None


class Runner:
    """Loads a contender and answers requests of plain values.

    Args:
        contender: What to load.
        threads: To compute with.
        rows_file: JSON with ``texts`` and ``pairs`` of the task, in the order in which they are to
            be asked for; None without.
    """

    def __init__(self, contender: Contender, threads: int, rows_file: str | None = None) -> None:
        self._threads = threads
        start = time.perf_counter()
        self.model = _open(contender, threads)
        self._load_seconds = time.perf_counter() - start
        self._columns = None if rows_file is None else _columns(Path(rows_file))
        self._timers: dict[Cell, CallTimer] = {}

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked for.

        Args:
            request: ``do`` is ``describe``, ``warm_up`` (with ``cell`` and ``seconds``), ``time``
                (with ``cell``, ``first`` and ``calls``), ``predict``, or ``count`` the weights,
                which takes memory of its own and so comes last.
        """
        if request["do"] == "describe":
            return self._description()
        if request["do"] == "count":
            from lightning_app.commands.weight_counts import nonzero_weights

            return {"nonzero": nonzero_weights(self.model)}
        if request["do"] == "predict":
            return {"logits": self._predict()}
        timer = self._timer(Cell(**request["cell"]))
        if request["do"] == "warm_up":
            return {"seconds": timer.warm_up(request["seconds"])}
        if request["calls"] > 1:
            timer.time(request["first"], 1)  # the others have had the caches
        return dict(timer.time(request["first"], request["calls"]))

    def _description(self) -> dict[str, Any]:
        from lightning_app.artifact.runtime import runtime_version

        manifest = self.model.manifest
        return {
            "format": manifest.format,
            "runtime": runtime_version(manifest.format),
            "checkpoint_sha256": manifest.checkpoint["sha256"],
            "load_seconds": self._load_seconds,
            "size": manifest.size or None,
            "parameters": manifest.parameters,
            "nominal_nonzero": manifest.nonzero_parameters,
        }

    def _predict(self) -> list[list[float]]:
        assert self._columns is not None
        logits: list[list[float]] = self.model.logits(*self._columns).tolist()
        return logits

    def _timer(self, cell: Cell) -> CallTimer:
        if cell not in self._timers:
            self._timers[cell] = CallTimer(self.model, cell, self._columns)
        return self._timers[cell]


def request(do: str, cell: Cell | None = None, **values: Any) -> dict[str, Any]:
    """A request for :meth:`Runner.answer`."""
    return {"do": do, "cell": None if cell is None else asdict(cell), **values}


def _open(contender: Contender, threads: int) -> "TextModel":
    from lightning_app.artifact.loading import open_artifact
    from lightning_app.artifact.manifest import read_manifest
    from lightning_app.commands.baseline_model import baseline_model

    folder = Path(contender.folder)
    if contender.baseline is None:
        return open_artifact(folder, threads)
    assert contender.checkpoint is not None
    like = read_manifest(folder)
    return baseline_model(contender.baseline, Path(contender.checkpoint), like, threads)


def _columns(file: Path) -> Columns:
    plain = json.loads(file.read_text("utf-8"))
    return plain["texts"], plain["pairs"]
