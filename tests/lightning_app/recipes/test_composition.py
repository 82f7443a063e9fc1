"""One configuration of several, as LightningCLI makes it."""

from pathlib import Path

import pytest

from lightning_app.errors import InputError
from lightning_app.recipes.composition import (
    callback_names,
    composed,
    read_yaml,
    with_teacher,
)

BASE = {
    "model": {"learning_rate": 1e-4},
    "trainer": {"max_epochs": 3, "callbacks": [{"class_path": "callbacks.A"}]},
}


def test_mappings_are_merged_and_values_replaced() -> None:
    found = composed([BASE, {"model": {"weight_decay": 0.1}}, {"trainer": {"max_epochs": 1}}])
    assert found["model"] == {"learning_rate": 1e-4, "weight_decay": 0.1}
    assert found["trainer"]["max_epochs"] == 1
    assert BASE["trainer"]["max_epochs"] == 3  # what was given is as it was


def test_a_plus_appends_and_no_plus_replaces() -> None:
    more = {"trainer": {"callbacks+": [{"class_path": "callbacks.B"}]}}
    assert callback_names(composed([BASE, more, more])) == ["A", "B", "B"]
    other = {"trainer": {"callbacks": [{"class_path": "callbacks.C"}]}}
    assert callback_names(composed([BASE, more, other])) == ["C"]
    one = {"trainer": {"callbacks+": {"class_path": "callbacks.D"}}}
    assert callback_names(composed([{}, one])) == ["D"]


def test_the_teacher_of_a_distillation_is_named() -> None:
    distillation = {"class_path": "callbacks.Distillation", "init_args": {"soft_targets": 2.0}}
    config = composed([BASE, {"trainer": {"callbacks+": [distillation]}}])
    named = with_teacher(config, "teacher.ckpt", "student")
    assert named["trainer"]["callbacks"][1]["init_args"] == {
        "soft_targets": 2.0,
        "teacher": "teacher.ckpt",
    }
    assert "teacher" not in config["trainer"]["callbacks"][1]["init_args"]


def test_a_teacher_without_distillation_is_refused() -> None:
    with pytest.raises(InputError, match=r"`callbacks.Distillation` in stage 'student'"):
        with_teacher(BASE, "teacher.ckpt", "student")


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("[1]")
    with pytest.raises(InputError, match="to be a mapping, got list"):
        read_yaml(str(tmp_path / "a.yaml"))
    with pytest.raises(InputError, match="Expected a YAML file"):
        read_yaml(str(tmp_path / "none.yaml"))
