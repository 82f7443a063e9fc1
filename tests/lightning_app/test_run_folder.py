import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lightning_app.errors import InputError
from lightning_app.run_folder import RunFolder, find_checkpoint


def test_each_run_takes_the_next_free_number(tmp_path: Path) -> None:
    paths = [RunFolder.create(tmp_path, "mrpc").path for _ in range(3)]
    assert paths == [tmp_path / "mrpc" / f"version_{i}" for i in range(3)]
    assert RunFolder.create(tmp_path, "cola").version == 0


def test_runs_that_start_at_once_get_a_folder_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(lambda _: RunFolder.create(tmp_path, "mrpc"), range(50)))
    assert sorted(run.version for run in runs) == list(range(50))


def test_the_run_of_a_checkpoint_is_found_by_its_path(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "mrpc")
    assert RunFolder.of_checkpoint(run.path / "checkpoints" / "last.ckpt") == run


def test_last_best_and_paths_are_found(tmp_path: Path) -> None:
    assert find_checkpoint(None, tmp_path, "mrpc") is None
    assert find_checkpoint("last", tmp_path, "mrpc") is None
    files = {}
    for seconds, (version, name) in enumerate([(0, "best"), (1, "best"), (1, "last")], 1000):
        path = tmp_path / "mrpc" / f"version_{version}" / "checkpoints" / f"{name}.ckpt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({}, path)
        os.utime(path, (seconds, seconds))
        files[version, name] = path
    assert find_checkpoint("last", tmp_path, "mrpc") == files[1, "last"]
    assert find_checkpoint("best", tmp_path, "mrpc") == files[1, "best"]
    assert find_checkpoint(str(files[0, "best"]), tmp_path, "mrpc") == files[0, "best"]
    files[1, "best"].unlink()
    with pytest.raises(InputError, match=r"a best.ckpt in .*version_1.*none yet"):
        find_checkpoint("best", tmp_path, "mrpc")
    with pytest.raises(InputError, match=r"a file, `last` or `best`, got 'nowhere.ckpt'"):
        find_checkpoint("nowhere.ckpt", tmp_path, "mrpc")
