"""Where the fits of several seeds lie: `runs/NAME/seeds_N/seedS/version_0`."""

import json
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_app import __version__
from lightning_app.cache_key import cache_key
from lightning_app.checkpoint import newest_checkpoint
from lightning_app.commands.fit_seeds_result import SeedRun
from lightning_app.commands.whole_file import write_whole
from lightning_app.errors import InputError
from lightning_app.recipes.inputs import files_within
from lightning_app.run_folder import DEFAULT_ROOT

_SET = "set.json"
_FINISHED = "finished.json"
_LOCK = ".lock"
_RUN = "version_0"
_NOT_OF_THE_SET = ("config", "seed_everything", "name", "ckpt_path", "seeds", "baseline")


@dataclass(frozen=True)
class SeedsFolder:
    """The fits of one configuration; another configuration has another folder.

    Args:
        path: `runs/NAME/seeds_N`.
        key: Hash of the configuration, and of the files that it names.
    """

    path: Path
    key: str

    @classmethod
    def of_config(cls, config: Mapping[str, Any], keeps_data_seed: bool = False) -> "SeedsFolder":
        """The folder that holds fits of this configuration, or else the next free one.

        Args:
            config: Of a fit, with all its defaults.
            keeps_data_seed: Whether the seed of the data is the same for all.
        """
        from lightning_app.cli import default_name

        home = Path(config["trainer"].get("default_root_dir") or DEFAULT_ROOT)
        home /= config.get("name") or default_name(config["data"])
        key = _key(config, keeps_data_seed)
        number = 0
        while True:
            path = home / f"seeds_{number}"
            if not path.exists() or _key_of(path) == key:
                return cls(path, key)
            number += 1

    def locked(self) -> AbstractContextManager[object]:
        """Alone in the folder, which is made.

        Raises:
            InputError: If another process is at it.
        """
        from filelock import FileLock, Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / _LOCK)
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"Expected to be alone in {str(self.path)!r}, but another process fits these"
                " seeds; wait for it, or choose another `--name`."
            ) from None
        write_whole(self.path / _SET, (json.dumps({"key": self.key}) + "\n").encode())
        return held

    def prepare(self, seed: int) -> Path:
        """The folder of a seed, without what a killed fit left that cannot be gone on with."""
        home = self._home(seed)
        if newest_checkpoint(home) is None:
            shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        return home

    def finish(self, seed: int) -> SeedRun:
        """Note that a seed is done, and return what came out.

        Raises:
            InputError: If it was never validated.
        """
        run = SeedRun.read(self.path, seed, f"{self._home(seed).name}/{_RUN}")
        write_whole(self._home(seed) / _FINISHED, (json.dumps({"key": self.key}) + "\n").encode())
        return run

    def finished(self, seed: int) -> SeedRun | None:
        """What came out, of a seed that is done."""
        home = self._home(seed)
        if not (home / _FINISHED).is_file():
            return None
        return SeedRun.read(self.path, seed, f"{home.name}/{_RUN}")

    def _home(self, seed: int) -> Path:
        return self.path / f"seed{seed}"


def _key(config: Mapping[str, Any], keeps_data_seed: bool) -> str:
    """Of all that a fit follows from, but for the seed and the place."""
    of_set = {k: v for k, v in config.items() if k not in _NOT_OF_THE_SET}
    of_set["trainer"] = {k: v for k, v in config["trainer"].items() if k != "default_root_dir"}
    if not keeps_data_seed:
        data = dict(config["data"])
        options = {k: v for k, v in (data.get("init_args") or {}).items() if k != "data_seed"}
        of_set["data"] = {**data, "init_args": options}
    return cache_key({"version": __version__, "config": of_set, "files": files_within(of_set)})


def _key_of(path: Path) -> str | None:
    try:
        return str(json.loads((path / _SET).read_text("utf-8"))["key"])
    except (OSError, ValueError, KeyError):
        return None
