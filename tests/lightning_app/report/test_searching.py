"""A search's folder, of made-up fits, on the page."""

import json
from pathlib import Path

import pytest

from lightning_app.report.overview import headline
from lightning_app.report.reading import read_all
from lightning_app.report.searching import searches
from lightning_app.search.result_files import write_result
from lightning_app.search.results import findings, importances
from lightning_app.search.study import add_tickets
from tests.lightning_app.report.test_writing import report
from tests.lightning_app.report.written import write_run
from tests.lightning_app.search.stub_search import specification, tickets, worker


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of six trials, of which the one with 3e-5 and 16 scores 0.9005, and its winner."""
    root = tmp_path_factory.mktemp("search")
    made = worker(specification(root), f"sqlite:///{root / 'study.db'}", 0.0, [3])
    add_tickets(made.study, tickets())
    made.run()
    found = findings(made.study, made.specification)
    winner = {"trial": found.best.trial, "score": 0.87}
    write_result(found, root, importances(found), winner)
    place = f"winner/trial-{found.best.trial}-{found.best.epochs}/winner/version_0"
    write_run(root / place, 0.87, seconds=30.0)
    return root


def test_the_table_has_the_best_first_with_what_it_was_set_to(folder: Path) -> None:
    section = searches(read_all([str(folder)]))
    (table,) = (block for block in section.blocks if hasattr(block, "rows"))
    assert list(table.head) == [
        "the best results",
        "score",
        "model.learning_rate",
        "data.train_batch_size",
    ]
    assert list(table.rows[0])[1:] == ["0.9005", "3e-05", "16"]
    assert table.marked == [0]
    scores = [float(row[1]) for row in table.rows]
    assert len(scores) == 6
    assert scores == sorted(scores, reverse=True)


def test_the_winner_is_a_model_as_any_other(folder: Path) -> None:
    found = read_all([str(folder)])
    (model,) = found.models
    assert model.score is not None
    assert model.score.value == 0.87
    assert [cost.kind for cost in found.costs] == ["search", "fit"]
    assert found.commands == (f"glint fit --config {folder / 'best.yaml'}",)
    text = headline(found)
    assert "best of 6 trials, learning_rate 3e-05, train_batch_size 16: score 0.9005 in" in text
    assert text.endswith("0.8700 on the validation rows.")


def test_the_page_has_importances_and_the_course(folder: Path, tmp_path: Path) -> None:
    text = report(folder, output=tmp_path)
    assert "what the score depends on (fANOVA)" in text
    assert "the course of the search" in text
    names = {file.name for file in tmp_path.glob("*.png")}
    assert names == {f"search-{what}.png" for what in ("importances", "history", "parallel")}


def test_the_search_itself_leaves_the_same_pictures(folder: Path) -> None:
    names = {file.name for file in folder.glob("*.png")}
    assert names == {"importances.png", "history.png", "parallel.png"}


def test_several_objectives_are_a_front(folder: Path, tmp_path: Path) -> None:
    plain = json.loads((folder / "search.json").read_text())
    for number, candidate in enumerate(plain["candidates"]):
        candidate["objectives"] = [candidate["objectives"][0], 2.0 + number]
    front = plain["candidates"][:2]
    plain |= {"objectives": ["score", "latency_ms"], "front": front, "best": front[0]}
    plain["winner"] = None
    (tmp_path / "search.json").write_text(json.dumps(plain))
    found = read_all([str(tmp_path)])
    assert found.models == ()
    (table,) = (b for b in searches(found).blocks if hasattr(b, "rows"))
    assert len(table.rows) == 2
    assert list(table.head)[:3] == ["the front", "score", "ms"]
    assert headline(found).endswith("in cross-validation.")
    report(tmp_path, output=tmp_path / "out")
    assert (tmp_path / "out/search-front.png").is_file()
