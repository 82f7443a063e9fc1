"""`glint report` on what a fit, an export and a benchmark have really left."""

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_app.commands.benchmark import Benchmark
from lightning_app.commands.export import Export
from lightning_app.commands.report import Report
from lightning_app.report.reading import read_all
from tests.end_to_end.command import glint, run_folder, tiny_fit
from tests.lightning_app.report.test_writing import Page

ROWS = [
    ("the film was good", "it was liked", "equivalent"),
    ("she hated it", "he ate the apple", "not_equivalent"),
    ("a good dog", "he saw the dog and the cat", "not_equivalent"),
    ("the dog ate the apple", "the apple was eaten", "equivalent"),
]


@pytest.fixture(scope="module")
def run(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of one epoch, and beside it `hf`, exported of it, and `benchmark.json`."""
    root = tmp_path_factory.mktemp("report")
    glint(*tiny_fit(tiny_model, root), "--trainer.max_epochs=1")
    folder = run_folder(root)
    checkpoint = str(folder / "checkpoints/best.ckpt")
    Export(checkpoint, str(root / "hf"), "hf", measure=False).run()
    lines = [dict(zip(("sentence1", "sentence2", "label"), row, strict=True)) for row in ROWS]
    (root / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    quick: dict[str, Any] = {"rounds": 5, "seconds": 0.05, "threads": [1], "batch_size": [1]}
    Benchmark(
        [str(root / "hf")],
        data=str(root / "rows.jsonl"),
        length=[16],
        baseline=["eager"],
        ckpt_path=checkpoint,
        output=str(root / "benchmark.json"),
        **quick,
    ).run()
    return folder


@pytest.mark.slow
def test_a_fit_an_artifact_and_a_benchmark_are_one_page(run: Path, tmp_path: Path) -> None:
    root = run.parents[1]
    files = Report([str(run), str(root / "hf"), str(root / "benchmark.json")], str(tmp_path)).run()
    page = files[0].read_text("utf-8")
    assert Page(page).open == []
    score = json.loads((run / "metrics.json").read_text())["best"]["val/score"]
    measured = json.loads((root / "benchmark.json").read_text())["artifacts"]
    scores = [a["scores"]["metrics"]["score"]["value"] for a in measured]
    for value in (score, *scores):
        assert f"{value:.4f}" in page
    # The artifact answers the validation rows of the fit as the checkpoint does.
    assert "What changed against the teacher" in page
    assert " 0 answers (0.0%) differ" in page
    found = read_all([str(run), str(root / "hf"), str(root / "benchmark.json")])
    assert found.reference is not None
    assert found.chosen is not None
    assert (found.reference.name, found.chosen.name) == ("eager", "hf")
    assert [model.name for model in found.models].count("hf") == 1  # named, and measured
    markdown = (tmp_path / "report.md").read_text("utf-8")
    # One validation is no curve; the loss of each step is.
    assert "![Loss on the training rows](train-loss.png)" in markdown
    assert "val-score.png" not in markdown
    assert "Heads and FFN neurons in each layer" in page
    assert f"glint fit --config {run}/config.yaml" in page


@pytest.mark.slow
def test_joules_that_a_fit_has_noted_are_in_the_cost(run: Path, tmp_path: Path) -> None:
    file = run / "metrics.json"
    plain = json.loads(file.read_text())
    file.write_text(json.dumps({**plain, "joules": 1234.4}))
    page = Report([str(run)], str(tmp_path / "a"), predictions=False).run()[0].read_text("utf-8")
    assert page.count("<td>1,234</td>") == 2  # of the fit, and of all
    file.write_text(json.dumps({**plain, "joules": None}))
    page = Report([str(run)], str(tmp_path / "b"), predictions=False).run()[0].read_text("utf-8")
    assert "1,234" not in page
    assert "<th>joules</th>" not in page
