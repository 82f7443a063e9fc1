"""Recipes as what a search tries."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_app.errors import InputError
from lightning_app.search.recipe_space import depends_on, recipe_config
from lightning_app.search.subject import flat, with_value, with_values

TASK = {"model": {"learning_rate": 1e-5}, "trainer": {"max_epochs": 3, "callbacks": []}}
TEACHING = {
    "trainer": {
        "callbacks+": [{"class_path": "callbacks.Distillation", "init_args": {"temperature": 2.0}}]
    }
}
RECIPE: dict[str, Any] = {
    "name": "small",
    "target": {"speedup": 4.0},
    "stages": [
        {"name": "teacher", "kind": "fit"},
        {"name": "shrink", "kind": "shrink"},
        {
            "name": "distill",
            "kind": "fit",
            "teacher": "teacher",
            "config": ["{folder}/teaching.yaml"],
            "options": {"trainer": {"max_epochs": 2}},
        },
        {"name": "int8", "kind": "quantize"},
        {"name": "small", "kind": "export"},
        {"name": "measure", "kind": "benchmark"},
    ],
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "task.yaml").write_text(yaml.safe_dump({"name": "task", **TASK}))
    (tmp_path / "teaching.yaml").write_text(yaml.safe_dump(TEACHING))
    text = yaml.safe_dump({"base": ["{folder}/task.yaml"], **RECIPE})
    file = tmp_path / "recipe.yaml"
    file.write_text(text.replace("{folder}", str(tmp_path)))
    return file


def stage(config: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in config["stages"] if s["name"] == name)
    return found


def test_each_fit_is_written_out(recipe: Path) -> None:
    config = recipe_config(str(recipe), [{"model": {"learning_rate": 2e-5}}])
    assert stage(config, "teacher")["options"]["trainer"]["max_epochs"] == 3
    distill = stage(config, "distill")
    assert distill["options"]["model"] == {"learning_rate": 2e-5}
    assert distill["options"]["trainer"]["max_epochs"] == 2
    assert len(distill["options"]["trainer"]["callbacks"]) == 1
    assert "config" not in distill


def test_keys_name_a_stage_or_all_fits_or_the_target(recipe: Path) -> None:
    config = recipe_config(str(recipe))
    changed = with_values(
        config,
        {
            "stages.distill.callbacks.Distillation.temperature": 4.0,
            "stages.shrink.num_rows": 64,
            "target.speedup": 6.0,
            "model.learning_rate": 3e-5,
        },
    )
    for name in ("teacher", "distill"):
        assert stage(changed, name)["options"]["model"]["learning_rate"] == 3e-5
    callback = stage(changed, "distill")["options"]["trainer"]["callbacks"][0]
    assert callback["init_args"]["temperature"] == 4.0
    assert stage(changed, "shrink")["options"] == {"num_rows": 64}
    assert changed["target"] == {"speedup": 6.0}
    known = flat(changed)
    assert known["stages.distill.callbacks.Distillation.temperature"] == 4.0
    assert known["model.learning_rate"] == 3e-5
    assert "trainer.max_epochs" not in known  # the fits differ in it
    assert known["stages.teacher.trainer.max_epochs"] == 3


def test_a_callback_of_all_fits_is_of_those_that_have_it(recipe: Path) -> None:
    config = with_value(recipe_config(str(recipe)), "callbacks.Distillation.temperature", 4.0)
    assert stage(config, "teacher")["options"]["trainer"]["callbacks"] == []
    callback = stage(config, "distill")["options"]["trainer"]["callbacks"][0]
    assert callback["init_args"]["temperature"] == 4.0


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("stages.int8.percentile", {"int8", "small", "measure"}),
        ("stages.distill.model.learning_rate", {"distill", "int8", "small", "measure"}),
        ("target.speedup", {"shrink", "distill", "int8", "small", "measure"}),
        (
            "model.learning_rate",
            {"teacher", "shrink", "distill", "int8", "small", "measure"},
        ),
    ],
)
def test_what_follows_from_a_key(recipe: Path, key: str, expected: set[str]) -> None:
    assert depends_on(recipe_config(str(recipe)), [key]) == expected


def test_mistakes_are_one_sentence(recipe: Path) -> None:
    config = recipe_config(str(recipe))
    for key in ("stages.missing.model.learning_rate", "callbacks.MagnitudePruning.sparsity"):
        with pytest.raises(InputError, match="one of its stages \\(teacher, shrink"):
            with_value(config, key, 1)
    text = recipe.read_text()
    recipe.write_text(text.replace("kind: benchmark", "kind: quantize"))
    with pytest.raises(InputError, match="quantizes what 'int8' has quantized already"):
        recipe_config(str(recipe))
    kept = yaml.safe_load(text)
    kept["stages"].pop()
    recipe.write_text(yaml.safe_dump(kept))
    with pytest.raises(InputError, match="with a stage of kind `benchmark` for a search"):
        recipe_config(str(recipe))
    recipe.write_text(text + "seeds: 3\n")
    with pytest.raises(InputError, match="without 'seeds' for a search"):
        recipe_config(str(recipe))
