"""A stage's hash changes with what its result follows from, and with nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from lightning_app.recipes.inputs import stage_hash
from lightning_app.recipes.recipe import PlannedStage
from lightning_app.recipes.stage import Stage, Target

FIT = PlannedStage(Stage("a", "fit", start="t"), {"model": {"learning_rate": 1.0}})
EARLIER = {"t": "1" * 64, "other": "2" * 64}


def test_name_and_other_stages_do_not_matter() -> None:
    renamed = replace(FIT, stage=replace(FIT.stage, name="b"))
    assert stage_hash(renamed, EARLIER, ()) == stage_hash(FIT, {"t": "1" * 64}, ())


@pytest.mark.parametrize(
    "changed",
    [
        stage_hash(replace(FIT, config={"model": {"learning_rate": 2.0}}), EARLIER, ()),
        stage_hash(FIT, {"t": "3" * 64}, ()),
        stage_hash(FIT, EARLIER, ("--data.train_batch_size=4",)),
        stage_hash(replace(FIT, stage=Stage("a", "fit", start="t", teacher="t")), EARLIER, ()),
    ],
)
def test_configuration_start_teacher_and_options_matter(changed: str) -> None:
    assert changed != stage_hash(FIT, EARLIER, ())


def test_a_file_that_is_named_matters_by_its_contents(tmp_path: Path) -> None:
    data = tmp_path / "train.csv"
    data.write_text("a")
    fit = replace(FIT, config={"data": {"init_args": {"train_file": str(data)}}})
    before = stage_hash(fit, EARLIER, ())
    data.touch()
    assert stage_hash(fit, EARLIER, ()) == before
    data.write_text("b")
    assert stage_hash(fit, EARLIER, ()) != before
    option = (f"--data.train_file={data}",)
    before = stage_hash(FIT, EARLIER, option)
    data.write_text("c")
    assert stage_hash(FIT, EARLIER, option) != before


def test_the_goal_matters_to_the_shrink_alone() -> None:
    shrink = PlannedStage(Stage("s", "shrink", start="t"), {}, Target(speedup=2.0))
    other = replace(shrink, target=Target(speedup=3.0))
    assert stage_hash(shrink, EARLIER, ()) != stage_hash(other, EARLIER, ())
    fits = [replace(FIT, target=target) for target in (shrink.target, other.target)]
    assert stage_hash(fits[0], EARLIER, ()) == stage_hash(fits[1], EARLIER, ())
    lost = replace(shrink, target=Target(speedup=2.0, max_drop=0.5))
    assert stage_hash(shrink, EARLIER, ()) == stage_hash(lost, EARLIER, ())
