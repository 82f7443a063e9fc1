from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_app import checkpoint_io
from lightning_app.checkpoint_io import AtomicCheckpointIO
from lightning_app.errors import InputError


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "last.ckpt"
    files = AtomicCheckpointIO()
    for value in (1.0, 2.0):
        files.save_checkpoint({"weight": torch.tensor(value)}, target)
        assert files.load_checkpoint(target)["weight"] == value
    assert [path.name for path in target.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("zip")])
def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    target = tmp_path / "last.ckpt"
    files = AtomicCheckpointIO()
    files.save_checkpoint({"weight": torch.tensor(1.0)}, target)

    def half_written(checkpoint: Any, file: Any) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(checkpoint_io.torch, "save", half_written)
    with pytest.raises(InputError, match=r"last.ckpt', but: .*; the one before it is kept"):
        files.save_checkpoint({"weight": torch.tensor(2.0)}, target)
    assert files.load_checkpoint(target)["weight"] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_kill_while_writing_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "last.ckpt"
    files = AtomicCheckpointIO()
    files.save_checkpoint({"weight": torch.tensor(1.0)}, target)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt("killed")

    monkeypatch.setattr(checkpoint_io.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        files.save_checkpoint({"weight": torch.tensor(2.0)}, target)
    assert files.load_checkpoint(target)["weight"] == 1.0
    monkeypatch.undo()
    files.save_checkpoint({"weight": torch.tensor(3.0)}, target)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    files = AtomicCheckpointIO()
    files.save_checkpoint({}, tmp_path / "a.ckpt")
    for _ in range(2):
        files.remove_checkpoint(tmp_path / "a.ckpt")
    assert list(tmp_path.iterdir()) == []
