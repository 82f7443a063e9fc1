import os
from collections import Counter
from pathlib import Path

import pytest
import torch

from lightning_app.checkpoint import (
    is_whole,
    newest_checkpoint,
    read_checkpoint,
    read_glint_checkpoint,
)
from lightning_app.errors import InputError


class Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def saved(path: Path, contents: object, seconds: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(contents, path)
    os.utime(path, (seconds, seconds))
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_plain_values_and_tensors_come_back(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", {"weight": torch.arange(5.0), "names": ["a", None, 1.5]})
    contents = read_checkpoint(path)
    assert torch.equal(contents["weight"], torch.arange(5.0))
    assert contents["names"] == ["a", None, 1.5]


def test_a_pickled_object_is_refused_and_never_run(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", {"callback": Trap(tmp_path / "sprung")})
    with pytest.raises(InputError, match=r"a.ckpt' carries pickled objects, which could run code"):
        read_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = cut(saved(tmp_path / "a.ckpt", {"weight": torch.zeros(1000)}))
    with pytest.raises(InputError, match=r"a.ckpt' is truncated or corrupted"):
        read_checkpoint(path)


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", {"weight": torch.full((1000,), 3.0)})
    assert is_whole(path)
    contents = bytearray(path.read_bytes())
    place = contents.index(torch.full((4,), 3.0).numpy().tobytes())
    contents[place] ^= 1
    path.write_bytes(contents)
    assert not is_whole(path)


def test_a_missing_file_and_a_text_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`--ckpt_path` to be a checkpoint file, got .*none.ckpt"):
        read_checkpoint(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(InputError, match="truncated or corrupted"):
        read_checkpoint(tmp_path / "text.ckpt")


def test_a_foreign_checkpoint_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", {"state_dict": {}})
    with pytest.raises(InputError, match=r"written by Glint, but .* has no architecture, task"):
        read_glint_checkpoint(path)


def test_the_newest_whole_one_of_all_runs_is_found(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    oldest = saved(tmp_path / "version_9/checkpoints/last.ckpt", {}, seconds=1000)
    middle = saved(tmp_path / "version_0/checkpoints/best.ckpt", {}, seconds=2000)
    newest = saved(tmp_path / "version_10/checkpoints/last.ckpt", {"w": torch.zeros(9)}, 3000)
    assert newest_checkpoint(tmp_path) == newest
    os.utime(cut(newest), (3000, 3000))
    assert newest_checkpoint(tmp_path) == middle
    os.utime(oldest, (2500, 2500))
    assert newest_checkpoint(tmp_path) == oldest


def test_a_counter_is_plain_enough_to_be_opened(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", {"milestones": Counter([3, 3])})  # of MultiStepLR
    assert read_checkpoint(path)["milestones"] == {3: 2}
