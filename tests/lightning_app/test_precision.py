from pathlib import Path

import pytest
import yaml

from lightning_app import precision
from lightning_app.precision import choose_precision


@pytest.mark.parametrize(("has_it", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_follows_the_processor(
    has_it: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: has_it)
    assert choose_precision("cpu") == expected


def test_other_devices_keep_the_default_of_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_precision("gpu") is None
    monkeypatch.setattr(precision, "_has_other_than_cpu", lambda: True)
    assert choose_precision("auto") is None


@pytest.mark.parametrize("saved", ["32-true", "bf16-mixed", "64-true"])
def test_a_run_goes_on_in_the_precision_it_began_with(saved: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"trainer": {"precision": saved}}))
    assert choose_precision("cpu", tmp_path) == saved


def test_a_run_without_a_precision_is_given_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    assert choose_precision("cpu", tmp_path) == "32-true"
    (tmp_path / "config.yaml").write_text("trainer: {precision: null}\n")
    assert choose_precision("cpu", tmp_path) == "32-true"
