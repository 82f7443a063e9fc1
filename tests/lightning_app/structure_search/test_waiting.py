"""What the kernel says of threads that wait for a core."""

from pathlib import Path

import pytest

from lightning_app.structure_search.waiting import Waiting, say_if_busy


def write(tasks: Path, thread: int, computed: int, waited: int) -> None:
    (tasks / str(thread)).mkdir(exist_ok=True)
    (tasks / str(thread) / "schedstat").write_text(f"{computed} {waited} 7\n")


def test_it_is_the_share_of_what_came_since(tmp_path: Path) -> None:
    write(tmp_path, 1, 50_000_000, 900_000_000)
    waiting = Waiting(tmp_path)
    assert waiting.share == 0.0
    write(tmp_path, 1, 350_000_000, 950_000_000)
    write(tmp_path, 2, 300_000_000, 150_000_000)
    assert waiting.share == pytest.approx(0.25)


def test_without_a_kernel_that_says_it_nothing_is_known(tmp_path: Path) -> None:
    assert Waiting(tmp_path / "nowhere").share == 0.0


def test_a_sentence_names_the_file_where_much_was_waited(tmp_path: Path) -> None:
    said: list[str] = []
    say_if_busy(0.04, tmp_path / "a.json", said.append)
    assert not said
    say_if_busy(0.3, tmp_path / "a.json", said.append)
    assert "30%" in said[0]
    assert str(tmp_path / "a.json") in said[0]
