"""Keep on disk what a teacher answers to each row, so that it runs over the data once."""

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from lightning_app.cache_key import LAYOUT_VERSION, cache_key
from lightning_app.errors import InputError
from lightning_app.row_arrays import (
    ArraySpec,
    ArrayWriter,
    Integers,
    RowArray,
    line_bounds,
    refuse_unknown,
)

MARGIN = 256 * 2**20
"""Bytes that stay free on the disk: the run writes its checkpoints beside."""

MANIFEST = "manifest.json"
_MAY_BE_IN_USE = 3600.0
"""Seconds since it was opened in which a cache stays; where it is mapped, it outlives its file."""

UNFINISHED = ".unfinished"
"""Ending of a folder that is being written, or whose writer was killed."""


class TeacherCache:
    """A teacher's outputs for all rows of a data set, mapped into memory.

    On disk it is ``<root>/<key>/<digest of the arrays>/``: a manifest and a flat file an array.
    A folder appears under this name when all of it is on the disk, and never changes again. Wider
    sets of arrays serve those who want some of them, so that runs and search trials share one.

    Example::

        specs = [ArraySpec("logits", 2), ArraySpec("hidden_3", 384, torch.float16, per_token=True)]
        key = cache_key({"teacher": hash_of_weights(teacher.state_dict()), "data": fingerprint})
        cache = TeacherCache.open_or_create(root, key, specs, lengths, run_teacher, say=print)
        hidden = cache.rows("hidden_3", batch["index"], seq=50, dtype=torch.float32)

    Args:
        folder: A whole folder, as `find` and `open_or_create` give it.
        specs: The arrays to read.
        lengths: Tokens of each row, ``[rows]``.
    """

    def __init__(self, folder: Path, specs: Sequence[ArraySpec], lengths: Integers) -> None:
        self.folder = folder
        bounds = {spec.per_token: line_bounds(spec, lengths) for spec in specs}
        self._arrays = {s.name: RowArray(folder, s, bounds[s.per_token]) for s in specs}

    @classmethod
    def find(
        cls, root: Path, key: str, specs: Sequence[ArraySpec], lengths: Integers
    ) -> "TeacherCache | None":
        """Open the cache if there is one and it is whole.

        Args:
            root: Folder of all caches.
            key: What the outputs follow from, but the arrays and lengths; see `cache_key`.
            specs: The arrays that are wanted, at least one, of different names.
            lengths: Tokens of each row, at least 1 each, ``[rows]``.

        Raises:
            ValueError: If the key is no plain name, or the specs or lengths are none.
        """
        _check(key, specs, lengths)
        wanted = _plain(specs, lengths)
        for folder in sorted((root / key).glob("*")):
            if folder.suffix != UNFINISHED and _holds(folder, wanted):
                with suppress(OSError):
                    _lock_path(root, key).touch()  # what is used last is removed last
                return cls(folder, specs, lengths)
        return None

    @classmethod
    def open_or_create(
        cls,
        root: Path,
        key: str,
        specs: Sequence[ArraySpec],
        lengths: Integers,
        write: Callable[[ArrayWriter], None],
        say: Callable[[str], None],
    ) -> "TeacherCache":
        """Open the cache, or write it first.

        Of processes that want the same at once, one writes and the others wait for it. A killed
        writer leaves a folder that nobody reads and the next writer removes; a cache with a file
        of another size than it had is written anew. Where the disk is full, caches that nobody has
        opened for an hour are removed, the longest unused first.

        Args:
            root: Folder of all caches; see `default_cache_root`.
            key: What the outputs follow from, but the arrays and lengths; see `cache_key`.
            specs: The arrays that are wanted, at least one, of different names.
            lengths: Tokens of each row, at least 1 each, ``[rows]``.
            write: Puts every row of every array; called only if there is no cache.
            say: Is told the size and the folder before it is written, or that another process
                is at it.

        Raises:
            InputError: If the disk cannot hold it or the folder cannot be written.
            ValueError: If the key is no plain name, or the specs or lengths are none.
        """
        cache = cls.find(root, key, specs, lengths)
        if cache is not None:
            return cache
        try:
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root, key, say):
                if cls.find(root, key, specs, lengths) is None:
                    _remove_unfinished(root, key)
                    _write_whole(root / key, specs, lengths, write, say)
        except OSError as error:
            raise InputError(
                f"Expected to write the teacher's cache to {str(root)!r}, but: {error}; choose"
                " another folder with GLINT_CACHE, or `cache: false`."
            ) from error
        cache = cls.find(root, key, specs, lengths)
        assert cache is not None
        return cache

    def rows(
        self,
        name: str,
        rows: Integers | Tensor,
        seq: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Read some rows of one array.

        Args:
            name: Of the array.
            rows: Row numbers, ``[batch]``; any order, repeated or not.
            seq: Length to pad to, for arrays per token; the longest of these rows by default.
            dtype: Of the result; as stored by default.

        Returns:
            ``[batch, width]``, or ``[batch, seq, width]`` with zeros on the right of each row's
            tokens; on the CPU.

        Raises:
            ValueError: If there is no such array, a row is out of range or longer than ``seq``.
        """
        refuse_unknown(name, self._arrays)
        return self._arrays[name].rows(rows, seq, dtype)


def default_cache_root() -> Path:
    """``$GLINT_CACHE/teachers``, or else ``~/.cache/glint/teachers`` (``XDG_CACHE_HOME``)."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(os.environ.get("GLINT_CACHE") or user_cache / "glint").expanduser() / "teachers"


def _check(key: str, specs: Sequence[ArraySpec], lengths: Integers) -> None:
    if not re.fullmatch(r"[\w-]+", key, re.ASCII):
        raise ValueError(f"Expected `key` of letters, digits, - and _, got {key!r}.")
    names = [spec.name for spec in specs]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"Expected `specs` of different names, at least one, got {names}.")
    if lengths.ndim != 1 or not len(lengths) or lengths.min() < 1:
        raise ValueError("Expected `lengths` to be [rows] with at least one token a row.")


def _plain(specs: Sequence[ArraySpec], lengths: Integers) -> dict[str, Any]:
    """What the manifest says of these arrays."""
    digest = hashlib.sha256(lengths.astype("<i8").tobytes()).hexdigest()
    arrays = {s.name: {**s.as_plain(), "bytes": s.num_bytes(lengths)} for s in specs}
    return {"layout": LAYOUT_VERSION, "lengths": digest, "arrays": arrays}


def _holds(folder: Path, wanted: dict[str, Any]) -> bool:
    """Whether the wanted arrays are all there, in the sizes that the manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        arrays = manifest.pop("arrays")
        sizes = {name: (folder / f"{name}.bin").stat().st_size for name in arrays}
        return {
            **manifest,
            "arrays": {name: arrays[name] for name in wanted["arrays"]},
        } == wanted and sizes == {name: array["bytes"] for name, array in arrays.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextmanager
def _locked(root: Path, key: str, say: Callable[[str], None]) -> Iterator[None]:
    lock = FileLock(_lock_path(root, key))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"Waiting for the process that writes the teacher's cache {str(root / key)!r}.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock_path(root: Path, key: str) -> Path:
    return root / f"{key}.lock"


def _remove_unfinished(root: Path, locked_key: str) -> None:
    """Remove what killed writers of any key left; a writer at work holds the lock of its key."""
    for folder in root.glob(f"*/*{UNFINISHED}"):
        key = folder.parent.name
        try:
            with nullcontext() if key == locked_key else FileLock(_lock_path(root, key), timeout=0):
                shutil.rmtree(folder)
        except Timeout:
            continue


def _write_whole(
    parent: Path,
    specs: Sequence[ArraySpec],
    lengths: Integers,
    write: Callable[[ArrayWriter], None],
    say: Callable[[str], None],
) -> None:
    """Write a folder beside its place and rename it."""
    manifest = _plain(specs, lengths)
    folder = parent / cache_key(manifest)[:16]
    size = sum(array["bytes"] for array in manifest["arrays"].values())
    # It is there only if it is broken, and its space will be free.
    if folder.exists():
        shutil.rmtree(folder)
    _make_room(parent, size, say)
    _refuse_full_disk(parent.parent, size)
    say(f"Writing the teacher's cache: {_mib(size)} for {len(lengths):,} rows to {str(folder)!r}.")
    unfinished = folder.with_name(folder.name + UNFINISHED)
    try:
        unfinished.mkdir(parents=True)
        with ArrayWriter(unfinished, specs, lengths) as writer:
            write(writer)
            writer.finish()
        _write_synced(unfinished / MANIFEST, json.dumps(manifest, indent=1))
        _sync_folder(unfinished)
        unfinished.replace(folder)
        _sync_folder(parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _make_room(parent: Path, size: int, say: Callable[[str], None]) -> None:
    """Remove other caches, the longest unused first, until the disk can hold this one."""
    root = parent.parent
    before = time.time() - _MAY_BE_IN_USE
    for _, place in sorted((_last_use(m.parent), m.parent) for m in root.glob(f"*/*/{MANIFEST}")):
        if shutil.disk_usage(root).free >= size + MARGIN:
            return
        key = place.parent.name
        with suppress(OSError, Timeout):  # one that is being written, or is gone
            if _last_use(place) < before:
                ours = place.parent == parent
                with nullcontext() if ours else FileLock(_lock_path(root, key), timeout=0):
                    shutil.rmtree(place)
                say(f"Removed the teacher's cache {str(place)!r}, long unused: the disk is full.")


def _last_use(place: Path) -> float:
    """When a cache of its key was opened or written; the folder itself never changes."""
    lock = _lock_path(place.parent.parent, place.parent.name)
    with suppress(OSError):  # another process has removed it just now
        return (lock if lock.exists() else place / MANIFEST).stat().st_mtime
    return math.inf


def _refuse_full_disk(root: Path, size: int) -> None:
    free = shutil.disk_usage(root).free
    if free < size + MARGIN:
        raise InputError(
            f"Expected {_mib(size + MARGIN)} of free disk for the teacher's cache in {str(root)!r}"
            f" ({_mib(size)}, and {_mib(MARGIN)} to spare), got {_mib(free)}; choose another folder"
            " with GLINT_CACHE, float16, fewer terms, or `cache: false`."
        )


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:,.1f} MiB"


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
