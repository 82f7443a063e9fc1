"""What is found in each kind of folder and file."""

import json
from pathlib import Path

import pytest

from lightning_app.errors import InputError
from lightning_app.report.overview import headline
from lightning_app.report.read_compress import DENSE
from lightning_app.report.reading import read_all, short_names
from tests.lightning_app.commands.test_fit_seeds import write_seeds
from tests.lightning_app.report.written import benchmark, measured, write_recipe, write_run


def test_a_run_without_a_checkpoint_is_read_and_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mrpc/version_0", 0.8123)
    found = read_all([str(run)])
    (model,) = found.models
    assert model.score is not None
    assert model.score.value == 0.8123
    assert (model.task, model.parameters) == ("mrpc", 22_700_000)
    assert found.facts["data"] == "embedded"
    assert [(cost.kind, cost.seconds) for cost in found.costs] == [("fit", 60.0)]
    assert found.notes == (f"{run} has no checkpoint.",)
    assert found.commands == (f"glint fit --config {run}/config.yaml",)
    assert "0.8123" in headline(found)


def test_drops_of_runs_are_against_the_first(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"{n}/version_0", s) for n, s in (("a", 0.8), ("b", 0.75))]
    other = write_run(tmp_path / "c/version_0", 0.5, task="sst2")
    first, second, third = read_all([*map(str, runs), str(other)]).models
    assert first.is_reference
    assert second.drop == pytest.approx(0.05)
    assert third.drop is None  # of another task


def test_a_recipe_is_read_in_the_cell_of_its_target(tmp_path: Path) -> None:
    found = read_all([str(write_recipe(tmp_path / "r"))])
    dense, small, big = found.models
    assert (dense.name, dense.is_reference) == (DENSE, True)
    assert small.latency_ms is not None
    assert small.latency_ms.value == 2.0  # at the task's lengths, not at 128 tokens
    assert small.speedup == pytest.approx(4.0)
    assert small.drop == pytest.approx(0.01)
    assert small.is_chosen
    assert not big.is_chosen
    assert small.score is not None
    assert (small.score.low, small.score.high) == pytest.approx((0.83, 0.87))
    assert [cost.seconds for cost in found.costs] == [100.0, 10.0, 20.0]
    assert found.notes == ("something is slow",)
    assert found.commands == ("glint fit --config teacher.yaml", "glint export")


def test_beyond_the_drop_the_one_that_lost_least_is_chosen(tmp_path: Path) -> None:
    found = read_all([str(write_recipe(tmp_path / "r", score=0.80))])
    assert found.chosen is not None
    assert found.chosen.name == "big"


def test_the_headline_says_what_was_traded(tmp_path: Path) -> None:
    text = headline(read_all([str(write_recipe(tmp_path / "r"))]))
    assert "4.00x as fast (2.00 ms in place of 8.00)" in text
    assert "10.0M parameters in place of 22.0M" in text
    assert text.endswith("score 0.8500 in place of 0.8600, 1.00 points lost.")


def test_a_benchmark_is_read_and_its_fastest_chosen(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    artifacts = [measured("a", "onnx", 4.0, 0.8), measured("b", "onnx-int8", 1.0, 0.79)]
    file.write_text(json.dumps(benchmark(*artifacts)))
    first, second = read_all([str(file)]).models
    assert first.is_reference  # without eager, the first
    assert second.is_chosen
    assert second.speedup == pytest.approx(4.0)
    assert second.drop == pytest.approx(0.01)


def test_a_benchmarks_reference_is_plain_pytorch(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    artifacts = [measured("a", "onnx", 4.0, 0.8), measured("eager", "eager", 8.0, 0.8)]
    file.write_text(json.dumps(benchmark(*artifacts)))
    found = read_all([str(file)])
    assert found.reference is not None
    assert found.reference.name == "eager"
    assert found.chosen is not None
    assert found.chosen.name == "a"
    assert found.chosen.speedup == pytest.approx(2.0)


def test_seeds_of_a_recipe_are_a_table_beside_the_first(tmp_path: Path) -> None:
    write_recipe(tmp_path / "r/seed1")
    mean = {"mean": 0.85, "std": 0.01, "low": 0.825, "high": 0.875}
    change = {
        "difference": {"mean": -0.01, "std": 0.01, "low": -0.03, "high": 0.01},
        "t_p": 0.2,
        "sign_flip_p": 0.25,
        "smallest_p": 0.25,
    }
    result = {"name": "small", "score": mean, "change": change, "speedup": None}
    plain = {"seeds": [1, 2, 3], "results": [result]}
    (tmp_path / "r/compress-seeds.json").write_text(json.dumps(plain))
    found = read_all([str(tmp_path / "r")])
    (table,) = found.seeds
    assert table.rows == (
        (
            "small",
            "0.8500 ± 0.0100",
            "0.8250 to 0.8750",
            "-0.0100 (-0.0300 to +0.0100)",
            "p = 0.200",
            "p = 0.250",
            "–",
        ),
    )
    assert "cannot fall below 0.25" in table.notes[0]
    assert len(found.models) == 3  # of the first seed


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: None, "which does not exist"),
        (lambda folder: folder.mkdir(), "which holds nothing of the kind"),
        (lambda folder: write_run(folder / "version_3"), r"such as '.*r/version_3'"),
        (lambda folder: (folder / "trial-0").mkdir(parents=True), "a search that has not ended"),
        (lambda folder: (folder / "01-teacher-1234").mkdir(parents=True), "has not ended"),
    ],
)
def test_what_is_no_run_is_refused_with_the_way_out(tmp_path: Path, make, reason) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "r")
    with pytest.raises(InputError, match=reason):
        read_all([str(tmp_path / "r")])


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{}", "which is none"), ("[]", "to be a mapping, got list"), ("{", "Expected a JSON file")],
)
def test_other_json_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_all([str(tmp_path / "f.json")])


def test_a_benchmark_of_another_version_is_refused(tmp_path: Path) -> None:
    plain = {**benchmark(measured("a", "onnx", 4.0, 0.8)), "benchmark_version": 9}
    (tmp_path / "b.json").write_text(json.dumps(plain))
    with pytest.raises(InputError, match="of version 1, got version 9"):
        read_all([str(tmp_path / "b.json")])


def test_names_are_as_short_as_they_can_be() -> None:
    assert short_names(["x/mrpc/version_0", "x/sst2/version_0"]) == [
        "mrpc/version_0",
        "sst2/version_0",
    ]
    assert short_names(["x/a", "x/b"]) == ["a", "b"]
    assert short_names(["x/a", "x/a"]) == ["a (1)", "a (2)"]


def test_seeds_of_a_fit_are_means_with_the_test_against_the_baseline(tmp_path: Path) -> None:
    write_seeds(tmp_path / "a/seeds_0", {1: 0.70, 2: 0.80, 3: 0.90})
    write_seeds(tmp_path / "b/seeds_0", {1: 0.73, 2: 0.84, 3: 0.95}, tmp_path / "a/seeds_0")
    found = read_all([str(tmp_path / "a/seeds_0"), str(tmp_path / "b/seeds_0")])
    base, better = found.models
    assert base.is_reference
    assert better.name == "b/seeds_0, mean of 3 seeds"
    assert better.drop == pytest.approx(-0.04)
    assert len(found.costs) == 6
    plain, tested = found.seeds
    assert len(plain.rows[0]) == 3
    assert tested.rows[0][1] == "0.8400 ± 0.1100"
    assert tested.rows[0][3:] == ("+0.0400 (+0.0152 to +0.0648)", "p = 0.020", "p = 0.250")
    assert headline(found) == (
        "a/seeds_0: val/score 0.8000 ± 0.1000 over 3 seeds."
        " b/seeds_0: val/score 0.8400 ± 0.1100 over 3 seeds, +0.0400 (+0.0152 to +0.0648) against"
        " the baseline."
    )


def test_seeds_that_have_not_ended_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "seeds_0/seed42/version_0")
    with pytest.raises(InputError, match="of seeds that have not ended"):
        read_all([str(tmp_path / "seeds_0")])
