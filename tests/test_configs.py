"""Every YAML in configs/ says how it is run, and is what `glint fit` takes."""

import re
from pathlib import Path
from typing import Any

import jsonargparse
import pytest
import yaml
from lightning.pytorch import Callback

CONFIGS = Path(__file__).parents[1] / "configs"
TASKS = sorted(CONFIGS.glob("*.yaml"))
CALLBACKS = sorted(CONFIGS.glob("callbacks/*.yaml"))


def names(paths: list[Path]) -> dict[str, Any]:
    return {"argvalues": paths, "ids": [path.stem for path in paths]}


@pytest.mark.parametrize("path", **names([*TASKS, *CALLBACKS]))
def test_it_says_what_it_does_and_the_command(path: Path) -> None:
    lines = path.read_text().splitlines()
    comment = "\n".join(lines[: next(i for i, line in enumerate(lines) if line[:1] != "#")])
    assert re.search(r"glint (fit|predict) --config configs/", comment)
    assert path.relative_to(CONFIGS.parent).as_posix() in comment


@pytest.mark.parametrize("path", **names(CALLBACKS))
def test_its_callbacks_can_be_made(path: Path) -> None:
    entries = yaml.safe_load(path.read_text())["trainer"]["callbacks+"]
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    made = parser.instantiate(parser.parse_object({"callbacks": entries}))
    assert [type(c).__name__ for c in made.callbacks] == [
        entry["class_path"].rpartition(".")[2] for entry in entries
    ]
