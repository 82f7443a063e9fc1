"""Where a stage's result lies, and whether it is finished."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FINISHED = "finished.json"


@dataclass(frozen=True)
class StageResult:
    """What a finished stage left.

    Args:
        seconds: That it took, over all its tries that ended.
        checkpoint: Relative to the stage's folder; None without one.
        artifact: Folder of `glint export`, likewise.
        score: Of the task, on the validation set; None where it was not measured.
        details: Plain values that its kind adds.
        history: Validations of a fit.
    """

    seconds: float
    checkpoint: str | None
    artifact: str | None
    score: float | None
    details: dict[str, Any]
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class StageFolder:
    """`<root>/<number>-<name>-<hash>/`: a changed stage has another one.

    Args:
        path: Of the folder.
        hash: Of the stage's inputs.
    """

    path: Path
    hash: str

    @classmethod
    def of(cls, root: Path, number: int, name: str, stage_hash: str) -> "StageFolder":
        """The folder of a stage.

        Args:
            root: Of the recipe.
            number: Of the stage, from 1.
            name: Of the stage.
            stage_hash: Of its inputs.
        """
        return cls(root / f"{number:02d}-{name}-{stage_hash[:10]}", stage_hash)

    @property
    def result(self) -> StageResult | None:
        """Of the stage, once it is finished."""
        try:
            plain = json.loads((self.path / FINISHED).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return StageResult(**plain["result"]) if plain.get("hash") == self.hash else None

    def finish(self, result: StageResult) -> None:
        """Note that the stage is done; written last, whole or not at all."""
        plain = {"hash": self.hash, "result": asdict(result)}
        unfinished = self.path / (FINISHED + ".unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(plain, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path / FINISHED)

    def clear(self) -> None:
        """Remove what a try left that cannot be gone on with."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
