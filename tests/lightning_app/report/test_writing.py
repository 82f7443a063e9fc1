"""The page and the Markdown: complete, escaped, the same each time."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lightning_app.commands.report import Report
from lightning_app.errors import InputError
from lightning_app.report.blocks import Commands, Paragraph, Section, Table
from lightning_app.report.labels import label_offsets
from lightning_app.report.markdown import markdown
from tests.lightning_app.report.written import benchmark, measured, write_recipe, write_run


class Page(HTMLParser):
    """Counts tags, and knows what is open at the end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "srcset", "href") and v]
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(*runs: Path, output: Path, **options: Any) -> str:
    options = {"predictions": False, **options}
    files = Report([str(run) for run in runs], str(output), **options).run()
    assert all(file.is_file() for file in files)
    return files[0].read_text("utf-8")


def test_the_page_holds_all_that_it_needs(tmp_path: Path) -> None:
    text = report(write_recipe(tmp_path / "r"), output=tmp_path / "out")
    page = Page(text)
    assert page.open == []
    assert page.tags.count("img") == 2  # the two fronts; nothing else has data here
    assert all(a.startswith(("data:image/png;base64,", "#s")) for a in page.addresses)
    assert "http" not in text
    for words in ("small (onnx-int8)", "4.00x", "-1.00", "2:10", "glint fit --config teacher.yaml"):
        assert words in text
    assert "Learning curves" not in text


def test_the_markdown_has_its_pictures_beside_it(tmp_path: Path) -> None:
    report(write_recipe(tmp_path / "r"), output=tmp_path / "out")
    text = (tmp_path / "out/report.md").read_text("utf-8")
    names = re.findall(r"\]\((.+?)\)", text)
    assert names == ["front-latency.png", "front-size.png"]
    for name in names:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    assert "| **small (onnx-int8)** | **0.8500** |" in text


def test_rebuilding_gives_the_same_bytes(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r")
    first = report(recipe, output=tmp_path / "out")
    files = {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert report(recipe, output=tmp_path / "out") == first
    assert {file: file.read_bytes() for file in (tmp_path / "out").iterdir()} == files


def test_what_the_user_named_is_escaped(tmp_path: Path) -> None:
    evil = "<b>&\"'<script>"
    run = write_run(tmp_path / "<b>/version_0", task="<i>|`x`")
    file = tmp_path / "b.json"
    file.write_text(json.dumps(benchmark(measured(evil, "onnx", 1.0, 0.9), failures=("<u>",))))
    page = Page(report(run, file, output=tmp_path / "out", title="<h1>" + evil))
    assert page.open == []
    assert {"b", "i", "u", "script"} & set(page.tags) == set()
    assert page.tags.count("h1") == 1
    lines = (tmp_path / "out/report.md").read_text("utf-8").split("```")[0].splitlines()
    assert not any(re.search(r"(?<!\\)<", line) for line in lines)


def test_markdown_keeps_tables_and_fences_whole() -> None:
    blocks = [Table(["a|b"], [["x\ny | z"]]), Commands(["echo ```"]), Paragraph("# 1. *x*")]
    text = markdown("t", "l", [Section("s", blocks)])
    assert "| a\\|b |\n| --- |\n| x y \\| z |" in text
    assert "````\necho ```\n````" in text
    assert "\\# 1. \\*x\\*" in text


def test_nothing_is_written_into_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    run = write_run(tmp_path / "run/version_0")
    for output in (tmp_path, tmp_path / "report"):
        with pytest.raises(InputError, match="to be outside of an artifact"):
            report(run, output=output)


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(InputError, match="`--output` to be a folder to write to"):
        report(write_run(tmp_path / "run/version_0"), output=tmp_path / "f")


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="`--max_rows` to be at least 1, got 0"):
        Report(["r"], max_rows=0)
    with pytest.raises(InputError, match="`--threads` to be at least 1, got 0"):
        Report(["r"], threads=0)


def test_names_of_points_at_one_place_do_not_cover_each_other() -> None:
    offsets = label_offsets([(0.5, 0.5)] * 3, ["one", "two", "three"], 300, 200)
    assert len(set(offsets)) == 3


def test_a_name_at_the_right_edge_goes_to_the_left() -> None:
    ((across, _),) = label_offsets([(0.98, 0.5)], ["a long name"], 300, 200)
    assert across < 0
