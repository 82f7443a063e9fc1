"""The files that `glint sensitivity` leaves: table, page, heat map and plan."""

import io
import json
from pathlib import Path

from lightning_app.commands.sensitivity_picture import heat_map
from lightning_app.commands.sensitivity_result import SensitivityResult
from lightning_app.commands.sensitivity_text import markdown, plan_yaml
from lightning_app.commands.whole_file import UNFINISHED, write_whole
from lightning_app.errors import InputError


def prepare_folder(folder: Path) -> None:
    """Make the folder, before hours go into what is to be written there.

    Raises:
        InputError: If it cannot be written to.
    """
    probe = folder / f"sensitivity{UNFINISHED}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"Expected `sensitivity.output` to be a folder to write to, got {str(folder)!r}:"
            f" {error.strerror}."
        ) from error


def write_files(result: SensitivityResult, folder: Path, checkpoint: str) -> dict[str, Path]:
    """Write `sensitivity.json`, `sensitivity.md`, `sensitivity.png` and `plan.yaml`.

    Args:
        result: What was measured.
        folder: Where to.
        checkpoint: What was measured, for the reader.

    Returns:
        The files by name.
    """
    table = {"checkpoint": checkpoint, **result.as_plain()}
    picture = io.BytesIO()
    heat_map(result).savefig(picture, format="png", dpi=150)
    contents = {
        "sensitivity.json": (json.dumps(table, indent=1) + "\n").encode(),
        "sensitivity.md": markdown(result).encode(),
        "sensitivity.png": picture.getvalue(),
        "plan.yaml": plan_yaml(result, checkpoint).encode(),
    }
    for name, content in contents.items():
        write_whole(folder / name, content)
    return {name: folder / name for name in contents}
