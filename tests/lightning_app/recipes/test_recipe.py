"""Stages in full: starts, targets, and orders that cannot work."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_app.commands.compress import Compress
from lightning_app.commands.without_trainer import run_without_trainer
from lightning_app.errors import InputError
from lightning_app.recipes.recipe import PlannedStage, Recipe
from lightning_app.recipes.stage import Stage, Target

QAT = {"trainer": {"callbacks+": [{"class_path": "callbacks.QuantizationAwareTraining"}]}}
MAGNITUDE = {"trainer": {"callbacks+": [{"class_path": "callbacks.MagnitudePruning"}]}}
STRUCTURED = {"trainer": {"callbacks+": [{"class_path": "callbacks.StructuredPruning"}]}}
STUDENT = {"model": {"structure": {"num_layers": 3}}}
TEACHER = Stage("teacher", "fit")


@pytest.fixture
def base(tmp_path: Path) -> list[str]:
    (tmp_path / "task.yaml").write_text("trainer: {max_epochs: 1, callbacks: []}\n")
    return [str(tmp_path / "task.yaml")]


def planned(base: list[str], *stages: Stage, **more: Any) -> list[PlannedStage]:
    return Recipe("r", base, list(stages), **more).planned()


def starts(stages: list[PlannedStage]) -> dict[str, str | None]:
    return {stage.name: stage.stage.start for stage in stages}


def test_a_stage_begins_from_the_last_checkpoint_before_it(base: list[str]) -> None:
    found = planned(
        base,
        TEACHER,
        Stage("int8", "quantize"),
        Stage("dense", "export", options={"format": "onnx-int8"}),
        Stage("student", "fit", start="teacher", options=STUDENT),
        Stage("small", "export", options={"format": "onnx"}),
    )
    assert starts(found) == {
        "teacher": None,
        "int8": "teacher",
        "dense": "int8",
        "student": "teacher",
        "small": "student",
    }


def test_options_lie_over_the_files(base: list[str]) -> None:
    stage = Stage("teacher", "fit", options={"trainer": {"max_epochs": 7}})
    found = planned(base, stage, options={"model": {"learning_rate": 1.0}})
    assert found[0].config == {
        "trainer": {"max_epochs": 7, "callbacks": []},
        "model": {"learning_rate": 1.0},
    }


def test_each_target_goes_on_from_the_recovered_model_of_the_last(base: list[str]) -> None:
    found = planned(
        base,
        TEACHER,
        Stage("shrink", "shrink"),
        Stage("distill", "fit"),
        Stage("int8", "quantize"),
        Stage("small", "export"),
        Stage("measure", "benchmark"),
        target=Target(runtime="onnx-int8"),
        targets=[2.0, 4.0],
    )
    assert starts(found) == {
        "teacher": None,
        "shrink@2x": "teacher",
        "distill@2x": "shrink@2x",
        "int8@2x": "distill@2x",
        "small@2x": "int8@2x",
        "shrink@4x": "distill@2x",
        "distill@4x": "shrink@4x",
        "int8@4x": "distill@4x",
        "small@4x": "int8@4x",
        "measure": "teacher",
    }
    goals = [stage.target.speedup for stage in found if stage.target is not None]
    assert goals == [None, *[2.0] * 4, *[4.0] * 4, None]
    assert {stage.target.runtime for stage in found if stage.target} == {"onnx-int8"}


def test_only_what_is_shrunk_has_the_goal(base: list[str]) -> None:
    found = planned(
        base,
        TEACHER,
        Stage("dense", "export", options={"format": "onnx"}),
        Stage("shrink", "shrink", start="teacher"),
        Stage("distill", "fit"),
        Stage("small", "export", options={"format": "onnx"}),
        target=Target(speedup=3.0),
    )
    wanted = {stage.name: stage.target.speedup for stage in found if stage.target is not None}
    assert wanted == {"teacher": None, "dense": None, "shrink": 3.0, "distill": 3.0, "small": 3.0}


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ([Stage("a", "export")], "nothing to begin from"),
        (
            [TEACHER, Stage("q", "quantize"), Stage("s", "fit", options=STUDENT)],
            r"'s' changes the structure of what 'q' has quantized.*move it before 'q'",
        ),
        (
            [TEACHER, Stage("q", "fit", options=QAT), Stage("s", "fit", options=STRUCTURED)],
            "'s' changes the structure of what 'q' has quantized",
        ),
        (
            [TEACHER, Stage("m", "fit", options=MAGNITUDE), Stage("s", "fit", options=STRUCTURED)],
            "'s' removes structure from what 'm' has pruned",
        ),
        (
            [TEACHER, Stage("m", "fit", options=MAGNITUDE), Stage("f", "fit")],
            "the fit 'f' would train the zeros of 'm' away",
        ),
        (
            [TEACHER, Stage("q", "quantize"), Stage("m", "fit", options=MAGNITUDE)],
            "'m' prunes what 'q' has quantized",
        ),
        (
            [TEACHER, Stage("q", "quantize"), Stage("again", "quantize")],
            "'again' quantizes what 'q' has quantized already",
        ),
        (
            [TEACHER, Stage("e", "export", options={"format": "onnx-int8"})],
            "exports onnx-int8 of a model that nothing has quantized",
        ),
        (
            [TEACHER, Stage("s", "fit", options=STUDENT, start="later")],
            r"`start` of stage 's' to be an earlier stage with a checkpoint \(teacher\)",
        ),
        ([TEACHER, TEACHER], "different names, at least one, got teacher twice"),
    ],
)
def test_an_order_that_cannot_work_is_refused(
    base: list[str], stages: list[Stage], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        planned(base, *stages)


def test_structure_masks_and_integers_in_one_fit_are_fine(base: list[str]) -> None:
    callbacks = [
        {"class_path": f"callbacks.{name}"}
        for name in ("StructuredPruning", "MagnitudePruning", "QuantizationAwareTraining")
    ]
    every = {"trainer": {"callbacks+": callbacks}}
    export = Stage("e", "export", options={"format": "onnx-int8"})
    assert len(planned(base, TEACHER, Stage("all", "fit", options=every), export)) == 3


def test_a_shrunk_model_must_be_trained(base: list[str]) -> None:
    export = Stage("e", "export", options={"format": "onnx"})
    with pytest.raises(InputError, match="nothing is trained after 's'"):
        planned(base, TEACHER, Stage("s", "shrink"), export, target=Target(speedup=2.0))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "a `target` for stage 's'"),
        ({"target": Target(max_drop=0.5)}, "a `target` for stage 's'"),
        ({"targets": [4.0, 2.0]}, "ascending speedups above 1"),
        ({"targets": []}, "ascending speedups above 1"),
        ({"targets": [2.0], "target": Target(speedup=3.0)}, "either `targets` or `target.speedup`"),
    ],
)
def test_targets_that_contradict_are_refused(
    base: list[str], more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        planned(base, TEACHER, Stage("s", "shrink"), Stage("d", "fit"), **more)


def test_a_target_without_shrink_is_refused(base: list[str]) -> None:
    with pytest.raises(InputError, match="a stage of kind `shrink`"):
        planned(base, TEACHER, target=Target(latency_ms=3.0))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Stage("a b", "fit"), "letters, digits"),
        (lambda: Stage("a", "train"), "to be one of fit, shrink"),  # type: ignore[arg-type]
        (lambda: Stage("a", "export", teacher="b"), "`kind: fit` alone"),
        (lambda: Target(speedup=2.0, size_mb=1.0), "one of `target.speedup`"),
        (lambda: Target(speedup=0.0), "`target.speedup` to be above 0, got 0"),
        (lambda: Target(runtime="tflite"), "`target.runtime` to be one of hf"),
        (lambda: Target(length=2), "`task` or at least 4 tokens, got 2"),
        (lambda: Target(max_drop=-1.0), "`target.max_drop` to be at least 0"),
        (lambda: Target(batch_size=0), "`target.batch_size` to be at least 1"),
    ],
)
def test_a_stage_or_target_that_cannot_be_is_refused(make: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make()


def test_seeds_are_of_the_whole_recipe(base: list[str]) -> None:
    stage = Stage("student", "fit", options={"seeds": 3})
    with pytest.raises(InputError, match=r"stage 'student'; `glint compress --seeds 3` runs all"):
        planned(base, stage)


def test_classes_that_a_recipe_names_are_for_its_fits_to_make(
    tmp_path: Path, base: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    callback = {"class_path": "pathlib.PurePath", "init_args": {}}
    data = {"class_path": "datamodules.GLUEDataModule", "init_args": {"task_name": "mrpc"}}
    stage = {
        "name": "t",
        "kind": "fit",
        "options": {"data": data, "trainer": {"callbacks": [callback]}},
    }
    shrink = {"name": "s", "kind": "shrink"}
    file = tmp_path / "recipe.yaml"
    recipe = {"name": "r", "base": base, "stages": [stage, shrink], "options": {"data": data}}
    file.write_text(yaml.safe_dump({**recipe, "target": {"speedup": 2.0}}))
    seen: list[Recipe] = []
    monkeypatch.setattr(Compress, "print_plan", lambda self, say: seen.append(self.recipe))
    assert run_without_trainer("compress", [f"--config={file}", "--plan"]) == 0
    (found,) = seen
    assert found.options == {"data": data}
    assert found.stages[0] == Stage("t", "fit", options=stage["options"])  # type: ignore[arg-type]
    assert found.target == Target(speedup=2.0)
