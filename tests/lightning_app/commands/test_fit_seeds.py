"""`glint fit --seeds`: what is refused, where it goes, and what comes out of several runs."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_app.commands.fit_seeds import FitSeeds
from lightning_app.commands.fit_seeds_folder import SeedsFolder
from lightning_app.commands.fit_seeds_result import FitSeedsResult, SeedRun, read_seeds
from lightning_app.commands.fit_seeds_text import fit_seeds_text
from lightning_app.errors import InputError
from tests.lightning_app.report.written import write_run


def write_seeds(
    folder: Path, scores: dict[int, float], baseline: Path | None = None, **metrics: Any
) -> FitSeedsResult:
    """A set of fits with these scores, written by hand, and its `seeds.json`."""
    runs = []
    for seed, score in scores.items():
        write_run(folder / f"seed{seed}/version_0", score, seconds=60.0 + seed, **metrics)
        runs.append(SeedRun.read(folder, seed, f"seed{seed}/version_0"))
    other = None if baseline is None else read_seeds(baseline)
    result = FitSeedsResult.of_runs(folder, runs, "glint fit --seeds 3", other)
    result.write()
    return result


def test_the_mean_has_spread_and_interval(tmp_path: Path) -> None:
    result = write_seeds(tmp_path / "a", {1: 0.80, 2: 0.81, 3: 0.82})
    score = result.metrics["val/score"]
    assert (score.mean, score.std) == pytest.approx((0.81, 0.01))
    # 4.3027 is the quantile of Student's t with two degrees of freedom
    assert score.low == pytest.approx(0.81 - 4.3027 * 0.01 / 3**0.5, abs=1e-6)
    assert result.seconds.mean == pytest.approx(62.0)
    text = fit_seeds_text(result)
    assert "3 seeds (1, 2, 3)" in text
    assert "val/score  0.8100 ± 0.0100 (0.7852 to 0.8348)" in text
    assert f"next: glint report {tmp_path}/a" in text
    plain = json.loads((tmp_path / "a/seeds.json").read_text())
    assert plain["runs"][2]["folder"] == "seed3/version_0"
    assert plain["baseline"] is None


def test_the_test_is_of_differences_seed_by_seed(tmp_path: Path) -> None:
    write_seeds(tmp_path / "a", {1: 0.70, 2: 0.80, 3: 0.90})
    result = write_seeds(tmp_path / "b", {1: 0.73, 2: 0.84, 3: 0.95}, tmp_path / "a")
    assert result.comparison is not None
    test = result.comparison.tests["val/score"]
    assert test.difference.mean == pytest.approx(0.04)
    assert test.difference.std == pytest.approx(0.01)  # though the scores spread by 0.1
    assert test.is_outside_noise
    assert test.sign_flip_p == pytest.approx(0.25)
    text = fit_seeds_text(result)
    assert f"against {tmp_path}/a, seed by seed:" in text
    assert "val/score  +0.0400 (+0.0152 to +0.0648); paired t-test p = 0.020" in text
    assert "cannot fall below 0.25" in text
    assert "--baseline" not in text  # it has been compared


def test_only_seeds_that_both_have_are_compared(tmp_path: Path) -> None:
    write_seeds(tmp_path / "a", {2: 0.5, 3: 0.5, 9: 0.9})
    result = write_seeds(tmp_path / "b", {1: 0.1, 2: 0.6, 3: 0.7}, tmp_path / "a")
    assert result.comparison is not None
    assert result.comparison.seeds == (2, 3)
    assert result.comparison.tests["val/score"].difference.mean == pytest.approx(0.15)
    assert "of which both have 2, 3" in fit_seeds_text(result)


def test_one_seed_has_neither_interval_nor_t_test(tmp_path: Path) -> None:
    write_seeds(tmp_path / "a", {1: 0.8})
    text = fit_seeds_text(write_seeds(tmp_path / "b", {1: 0.75}, tmp_path / "a"))
    assert "val/score  0.7500\n" in text
    assert "val/score  -0.0500; exact test p = 1.000, within the noise" in text


def test_a_baseline_must_be_comparable(tmp_path: Path) -> None:
    write_seeds(tmp_path / "runs/seeds_0", {1: 0.8, 2: 0.8})
    other = read_seeds(tmp_path / "runs/seeds_0")
    with pytest.raises(InputError, match=r"\(1, 2\), got 5, 6; set `--seed_everything 1`"):
        other.check_shares([5, 6])
    with pytest.raises(InputError, match="of the task 'sst2', got 'mrpc'"):
        write_seeds(tmp_path / "b", {1: 0.8}, tmp_path / "runs/seeds_0", task="sst2")
    with pytest.raises(InputError, match=r"there is '.*runs/seeds_0'"):
        read_seeds(tmp_path / "runs")
    with pytest.raises(InputError, match="which does not exist"):
        read_seeds(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("own", "other", "difference"),
    [
        ({"task_name": "mrpc"}, {"task_name": "mrpc", "train_batch_size": 8}, None),
        ({"task_name": "mrpc"}, {"task_name": "mrpc", "data_seed": 7}, None),
        ({"task_name": "mrpc"}, {"task_name": "rte"}, "`data.task_name` is 'rte' in place of"),
        ({"dataset": "a"}, {"dataset": "a", "num_folds": 3, "fold": 0}, "`data.num_folds` is 3"),
        ({"num_folds": 3, "fold": 0}, {"num_folds": 3, "fold": 1}, "`data.fold` is 1 in place of"),
        ({"train_file": "a.csv"}, {"train_file": "a.csv", "data_seed": 7}, "`data.data_seed` is 7"),
        (
            {"train_file": "a.csv", "validation_file": "b.csv"},
            {"train_file": "c.csv", "validation_file": "b.csv", "data_seed": 7},
            None,
        ),
    ],
)
def test_a_baseline_was_validated_on_the_same_rows(
    tmp_path: Path, own: dict[str, Any], other: dict[str, Any], difference: str | None
) -> None:
    write_seeds(tmp_path, {1: 0.8})
    text = yaml.safe_dump({"data": {"init_args": other}})
    (tmp_path / "seed1/version_0/config.yaml").write_text(text)
    baseline = read_seeds(tmp_path)
    refused = nullcontext() if difference is None else pytest.raises(InputError, match=difference)
    with refused:
        baseline.check_rows(lambda seed: {"init_args": own}, [1, 2])


def test_a_fit_that_was_never_validated_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "seed1/version_0", best={})
    with pytest.raises(InputError, match="validated at least once, got no validation"):
        SeedRun.read(tmp_path, 1, "seed1/version_0")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--seeds=0"], "`--seeds` to be at least 1, got 0"),
        (["--seeds", "many"], "to be a whole number, got 'many'"),
        (["--seeds"], "a value behind `--seeds`, got none"),
        (["--baseline", "runs"], "`--seeds N` with `--baseline`"),
        (["--seeds=2", "--ckpt_path", "last"], "a killed seed goes on by itself"),
        (["--seeds=2", "--trainer.fast_dev_run=true"], "it leaves no results"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        FitSeeds.of_arguments(["--config=a.yaml", *arguments])


def test_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="without torchrun"):
        FitSeeds.of_arguments(["--seeds=2"])


def config(root: Path, **model: Any) -> dict[str, Any]:
    return {
        "seed_everything": 42,
        "name": "n",
        "model": model,
        "data": {"class_path": "datamodules.GLUEDataModule", "init_args": {"data_seed": 42}},
        "trainer": {"default_root_dir": str(root)},
    }


def test_another_configuration_has_another_folder(tmp_path: Path) -> None:
    base = config(tmp_path)
    with SeedsFolder.of_config(base).locked():
        pass
    other_seed = {**base, "seed_everything": 7}
    other_seed["data"] = {**base["data"], "init_args": {"data_seed": 7}}
    assert SeedsFolder.of_config(other_seed).path == tmp_path / "n/seeds_0"
    assert SeedsFolder.of_config(config(tmp_path, learning_rate=1)).path == tmp_path / "n/seeds_1"
    # The seed of the data counts where the user keeps it the same for all.
    kept = [SeedsFolder.of_config(c, keeps_data_seed=True).key for c in (base, other_seed)]
    assert len(set(kept)) == 2


def test_a_changed_file_is_another_configuration(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    keys = []
    for text in ("a", "b"):
        file.write_text(text)
        keys.append(SeedsFolder.of_config(config(tmp_path, file=str(file))).key)
    assert keys[0] != keys[1]


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    folder = SeedsFolder.of_config(config(tmp_path))
    with (
        folder.locked(),
        pytest.raises(InputError, match="another process fits these seeds"),
        SeedsFolder.of_config(config(tmp_path)).locked(),
    ):
        pass


def test_the_baseline_is_another_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_app.search import fit_parser

    class Parser:
        def of_arguments(self, arguments: list[str]) -> dict[str, Any]:
            return config(tmp_path)

    monkeypatch.setattr(fit_parser, "fit_parser", Parser)
    with SeedsFolder.of_config(config(tmp_path)).locked():
        write_seeds(tmp_path / "n/seeds_0", {42: 0.8})
    arguments = ["--seeds=1", f"--baseline={tmp_path}/n/seeds_0"]
    with pytest.raises(InputError, match="to be another set of fits"):
        FitSeeds.of_arguments(arguments).run()
