"""What a recipe will do, before it does it: the course of each fit, from a few steps of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_app.commands.timeline import Timeline
from lightning_app.recipes.child import run_command
from lightning_app.recipes.engine import clock
from lightning_app.recipes.recipe import PlannedStage
from lightning_app.recipes.stage_commands import COMMANDS, Earlier
from lightning_app.recipes.stage_config import write_config
from lightning_app.recipes.stage_folder import StageFolder

FOLDER = "plans"
_OF_FITS = ("--trainer.default_root_dir", "--name", "--ckpt_path")


@dataclass(frozen=True)
class Planning:
    """Plans the fits of a recipe.

    Args:
        root: Of the recipe.
        options: For every fit, from the command line.
        say: Is told what is measured.
    """

    root: Path
    options: Sequence[str]
    say: Callable[[str], None]

    def timelines(
        self, planned: Sequence[PlannedStage], folders: Sequence[StageFolder]
    ) -> dict[str, Timeline]:
        """Of each fit that is not finished, by the stage's name.

        What a stage begins from may not be there yet: a model of a few steps stands in for it, at
        full size until the structure is known.

        Raises:
            InputError: If a fit cannot work as it is configured.
        """
        found: dict[str, Timeline] = {}
        models: dict[str, Path] = {}
        for stage, folder in zip(planned, folders, strict=True):
            result = folder.result
            if result is not None and result.checkpoint is not None:
                models[stage.name] = folder.path / result.checkpoint
            elif stage.stage.kind == "fit":
                found[stage.name] = self._of_fit(stage, folder, models)
                models[stage.name] = self._stand_in(folder)
            elif stage.stage.has_checkpoint and stage.stage.start is not None:
                models[stage.name] = models[stage.stage.start]
        return found

    def _of_fit(
        self, planned: PlannedStage, folder: StageFolder, models: Mapping[str, Path]
    ) -> Timeline:
        file = self._file(folder)
        if not (file.is_file() and self._stand_in(folder).is_file()):
            self.say(f"a few steps of {planned.name} ...")
            self._measure(planned, folder, models, file)
        timeline = Timeline.from_plain(json.loads(file.read_text("utf-8")))
        timeline.check()
        return timeline

    def _measure(
        self, planned: PlannedStage, folder: StageFolder, models: Mapping[str, Path], file: Path
    ) -> None:
        stage = planned.stage
        start = None if stage.start is None else models[stage.start]
        teacher = None if stage.teacher is None else models[stage.teacher]
        earlier = Earlier(checkpoint=start, teacher=teacher, options=self.options)
        scratch = file.parent / file.stem
        scratch.mkdir(parents=True, exist_ok=True)
        write_config(_on_the_fly(planned), scratch, earlier)
        arguments = COMMANDS["fit"].arguments(planned, scratch, earlier)
        asked = [a for a in arguments[1:] if not a.startswith(_OF_FITS)]
        run_command(
            [
                "plan",
                *asked,
                f"--name={planned.name}",
                f"--plan.output={file}",
                f"--plan.checkpoint={self._stand_in(folder)}",
                "--trainer.enable_progress_bar=false",
            ],
            scratch,
            quiet=True,
        )

    def _file(self, folder: StageFolder) -> Path:
        return self.root / FOLDER / f"{folder.path.name}.json"

    def _stand_in(self, folder: StageFolder) -> Path:
        return self.root / FOLDER / f"{folder.path.name}.ckpt"


def _on_the_fly(planned: PlannedStage) -> PlannedStage:
    """A stand-in's answers are not worth keeping."""
    trainer = dict(planned.config.get("trainer") or {})
    callbacks = [dict(callback) for callback in trainer.get("callbacks") or []]
    for callback in callbacks:
        arguments = dict(callback.get("init_args") or {})
        if "cache" in arguments:
            callback["init_args"] = {**arguments, "cache": False}
    return replace(
        planned, config={**planned.config, "trainer": {**trainer, "callbacks": callbacks}}
    )


def plan_text(
    planned: Sequence[PlannedStage],
    folders: Sequence[StageFolder],
    timelines: Mapping[str, Timeline],
    in_full: bool,
) -> str:
    """All stages in their order, with what each fit does and takes.

    Args:
        planned: The stages.
        folders: Their folders.
        timelines: Of the fits that are not finished.
        in_full: With a table of each fit's course.
    """
    from lightning_app.commands.timeline_text import timeline_text

    lines = []
    for number, (stage, folder) in enumerate(zip(planned, folders, strict=True), 1):
        lines.append(f"{number:>2}. {_headline(stage, folder, timelines.get(stage.name))}")
        if in_full and stage.name in timelines:
            lines += ["", _indented(timeline_text(timelines[stage.name])), ""]
    total = sum(timeline.seconds for timeline in timelines.values())
    if timelines:
        lines.append(
            f"the fits take about {clock(total)}, by a few steps of each at full size, their"
            " teachers not cached; the rest takes a minute or so a stage"
        )
    return "\n".join(lines)


def _headline(stage: PlannedStage, folder: StageFolder, timeline: Timeline | None) -> str:
    start = "" if stage.stage.start is None else f" from {stage.stage.start}"
    teacher = "" if stage.stage.teacher is None else f", taught by {stage.stage.teacher}"
    goal = f", {stage.target.in_words}" if stage.target is not None and stage.target.goals else ""
    head = f"{stage.name} ({stage.stage.kind}{start}{teacher}{goal})"
    if folder.result is not None:
        return f"{head}: finished before"
    if timeline is None:
        return head
    reached = timeline.reached_at
    recovery = f", complete at step {reached:,}" if reached else ""
    return f"{head}: {timeline.steps:,} steps{recovery}, about {clock(timeline.seconds)}"


def _indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.splitlines())
