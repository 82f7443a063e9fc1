"""The configuration of a recipe's fit, as a file that `glint fit --config` takes."""

from pathlib import Path

from lightning_app.recipes.composition import with_teacher
from lightning_app.recipes.recipe import PlannedStage
from lightning_app.recipes.stage_commands import CONFIG, Earlier


def write_config(planned: PlannedStage, folder: Path, earlier: Earlier) -> None:
    """Write `config.yaml`, with the teacher's checkpoint in it."""
    import yaml  # type: ignore[import-untyped]

    config = {k: v for k, v in planned.config.items() if k != "name"}
    if earlier.teacher is not None:
        config = with_teacher(config, str(earlier.teacher), planned.name)
    text = f"# Stage {planned.name!r} of a recipe of `glint compress`.\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(text + yaml.safe_dump(config, sort_keys=False), "utf-8")
