"""Runs a recipe: what is finished is skipped, what was killed goes on, what changed runs anew."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning_app.errors import InputError
from lightning_app.recipes.child import own_path, run_command
from lightning_app.recipes.inputs import stage_hash
from lightning_app.recipes.recipe import PlannedStage, Recipe
from lightning_app.recipes.stage_commands import COMMANDS, CONFIG, ROWS, RUN, Earlier
from lightning_app.recipes.stage_config import write_config
from lightning_app.recipes.stage_folder import StageFolder, StageResult

LOCK = ".lock"


@dataclass(frozen=True)
class DoneStage:
    """A finished stage of a recipe.

    Args:
        planned: What it was to be.
        folder: Where it is.
        result: What it left.
        command: That anyone can run by hand.
        run_config: `config.yaml` of the fit that its model comes from; None where there is none.
    """

    planned: PlannedStage
    folder: StageFolder
    result: StageResult
    command: str
    run_config: Path | None

    @property
    def checkpoint(self) -> Path | None:
        """Of the model, if it has one."""
        name = self.result.checkpoint
        return None if name is None else self.folder.path / name

    @property
    def artifact(self) -> Path | None:
        """The exported folder, if it has one."""
        name = self.result.artifact
        return None if name is None else self.folder.path / name


@dataclass
class Engine:
    """One recipe in one folder.

    Args:
        recipe: What to do.
        root: Its folder.
        options: For every fit, from the command line.
        say: Is told each line of progress.
        left: Seconds that stages will take, by name, as far as estimated.
    """

    recipe: Recipe
    root: Path
    options: Sequence[str] = ()
    say: Callable[[str], None] = print
    left: dict[str, float] = field(default_factory=dict)

    def run(self, each: Callable[[Sequence[DoneStage]], None] | None = None) -> list[DoneStage]:
        """Run all stages.

        Args:
            each: Is given what is done after each stage.

        Raises:
            InputError: If a stage fails, or another process is at it.
        """
        planned = self.recipe.planned()
        folders = self.folders(planned)
        done: list[DoneStage] = []
        started = time.monotonic()
        with self._locked():
            for number, (stage, folder) in enumerate(zip(planned, folders, strict=True), 1):
                self._announce(number, len(planned), stage, folder, started)
                done.append(self._do(stage, folder, done))
                if each is not None:
                    each(done)
        return done

    def folders(self, planned: Sequence[PlannedStage]) -> list[StageFolder]:
        """Of each stage, by what it follows from."""
        hashes: dict[str, str] = {}
        found = []
        for number, stage in enumerate(planned, 1):
            hashes[stage.name] = stage_hash(stage, hashes, self.options)
            found.append(StageFolder.of(self.root, number, stage.name, hashes[stage.name]))
        return found

    def _do(
        self, planned: PlannedStage, folder: StageFolder, done: Sequence[DoneStage]
    ) -> DoneStage:
        kind = COMMANDS[planned.stage.kind]
        earlier = self._earlier(planned, done)
        arguments = kind.arguments(planned, folder.path, earlier)
        result = folder.result
        if result is None:
            started = time.monotonic()
            self._prepare(planned, folder, earlier)
            run_command(arguments, folder.path, kind.codes)
            seconds = round(time.monotonic() - started, 1)
            result = replace(kind.result(planned, folder.path), seconds=seconds)
            folder.finish(result)
            self.say(f"      {_outcome(result)}")
        is_fit = planned.stage.kind == "fit"
        run_config = folder.path / RUN / CONFIG if is_fit else earlier.run_config
        return DoneStage(planned, folder, result, shlex.join(["glint", *arguments]), run_config)

    def _prepare(self, planned: PlannedStage, folder: StageFolder, earlier: Earlier) -> None:
        if not COMMANDS[planned.stage.kind].goes_on or not _has_checkpoint(folder.path):
            folder.clear()
        if planned.stage.kind == "fit":
            write_config(planned, folder.path, earlier)
        elif planned.stage.has_checkpoint:
            assert earlier.run_config is not None
            # Beside the checkpoint: an export reads lengths and the recipe of its card from there.
            shutil.copyfile(earlier.run_config, folder.path / CONFIG)
        elif planned.stage.kind == "benchmark":
            self._write_rows(folder.path / ROWS, earlier)

    def _write_rows(self, target: Path, earlier: Earlier) -> None:
        module = "lightning_app.recipes.validation_rows"
        paths = (earlier.run_config, earlier.dense, target)
        command = [sys.executable, "-P", "-m", module, *map(str, paths)]
        environment = {**os.environ, **own_path()}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise InputError(
                f"Expected the validation rows for the benchmark, but: {done.stderr.strip()[-500:]}"
            )

    def _earlier(self, planned: PlannedStage, done: Sequence[DoneStage]) -> Earlier:
        by_name = {stage.planned.name: stage for stage in done}
        start = by_name.get(planned.stage.start or "")
        teacher = by_name.get(planned.stage.teacher or "")
        dense = next((s.checkpoint for s in done if s.planned.stage.kind == "fit"), None)
        return Earlier(
            checkpoint=None if start is None else start.checkpoint,
            run_config=None if start is None else start.run_config,
            teacher=None if teacher is None else teacher.checkpoint,
            dense=dense,
            artifacts=[stage.artifact for stage in done if stage.artifact is not None],
            options=self.options,
        )

    def _announce(
        self, number: int, count: int, stage: PlannedStage, folder: StageFolder, started: float
    ) -> None:
        head = f"[{number}/{count}] {stage.name} ({stage.stage.kind})"
        if folder.result is not None:
            self.say(f"{head}: finished before, {_outcome(folder.result)}")
            return
        spent = time.monotonic() - started
        rest = self.left and sum(self.left.get(s.name, 0) for s in self._rest(number))
        self.say(f"{head} · {clock(spent)} so far{f', about {clock(rest)} left' if rest else ''}")

    def _rest(self, number: int) -> list[PlannedStage]:
        planned = self.recipe.planned()[number - 1 :]
        folders = self.folders(self.recipe.planned())[number - 1 :]
        return [s for s, folder in zip(planned, folders, strict=True) if folder.result is None]

    def _locked(self) -> AbstractContextManager[object]:
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / LOCK)
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"Expected to be alone in {str(self.root)!r}, but another process runs this recipe;"
                " wait for it, or choose another `--name`."
            ) from None


def clock(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _outcome(result: StageResult) -> str:
    score = "" if result.score is None else f", val/score {result.score:.4f}"
    return f"{clock(result.seconds)}{score}"


def _has_checkpoint(folder: Path) -> bool:
    from lightning_app.checkpoint import is_whole

    return any(is_whole(file) for file in (folder / RUN / "checkpoints").glob("*.ckpt"))
