"""What the files in configs/callbacks/ add can be made; how they compose: tests/end_to_end."""

from pathlib import Path

import jsonargparse
import pytest
import yaml
from lightning.pytorch import Callback

from lightning_app.commands.search import Search

SEARCHES = sorted((Path(__file__).parents[1] / "configs/search").glob("*.yaml"))
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


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.stem)
def test_a_search_can_be_made_and_each_of_its_values_is_accepted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parents[2])
    assert f"glint search --config configs/search/{path.name}" in path.read_text()
    run = Search(**yaml.safe_load(path.read_text())).prepare()
    numbers = {"mrpc_grid": 27, "mrpc": 12, "front": 24}
    assert len(run.tickets()) == numbers[path.stem]
    assert run.specification.shares_prefix == (path.stem == "mrpc")
    assert list(run.rungs) == {"mrpc_grid": [4], "mrpc": [2, 3, 4], "front": [1, 2, 3]}[path.stem]
