from pathlib import Path

import pytest

from lightning_app.errors import InputError
from lightning_app.optional_packages import installed_version, is_installed, missing, require


def test_what_is_there_and_what_is_not() -> None:
    assert is_installed("torch")
    assert missing(["torch", "no_such_package", "numpy"]) == ["no_such_package"]
    assert installed_version("no-such-package") is None
    require(["torch"], "onnx", "anything")


def test_a_folder_of_the_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no_such_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed("no_such_package")


def test_several_are_named() -> None:
    with pytest.raises(
        InputError,
        match=r"packages `no_a`, `no_b` for work, which are not installed;"
        r" `pip install 'glint-text\[g\]'`",
    ):
        require(["no_a", "torch", "no_b"], "g", "work")
