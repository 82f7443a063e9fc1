"""What the files in configs/callbacks/ add can be made; how they compose: tests/end_to_end."""

from pathlib import Path

import jsonargparse
import pytest
import yaml
from lightning.pytorch import Callback

CALLBACKS = sorted((Path(__file__).parents[1] / "configs/callbacks").glob("*.yaml"))


@pytest.mark.parametrize("path", CALLBACKS, ids=lambda path: path.stem)
def test_its_callbacks_can_be_made(path: Path) -> None:
    entries = yaml.safe_load(path.read_text())["trainer"]["callbacks+"]
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    made = parser.instantiate(parser.parse_object({"callbacks": entries}))
    assert [type(c).__name__ for c in made.callbacks] == [
        entry["class_path"].rpartition(".")[2] for entry in entries
    ]
