"""The cache as a whole, and the arrays in it through `TeacherCache.rows`."""

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_app.cache_key import cache_key
from lightning_app.errors import InputError
from lightning_app.row_arrays import ArraySpec, ArrayWriter
from lightning_app.teacher_cache import MANIFEST, MARGIN, TeacherCache, default_cache_root

LOGITS = ArraySpec("logits", 2)
HIDDEN = ArraySpec("hidden_3", 3, torch.float16, per_token=True)
QUERY = ArraySpec("query_1", 1, per_token=True)
SPECS = (LOGITS, HIDDEN, QUERY)
LENGTHS = np.array([2, 3, 1])
LOGIT_VALUES = torch.tensor([[1.0, -1.0], [0.1, 2.5], [3.0, 1e-7]])
# Not to be kept: the padding, which is NaN here, of rows of 2, 3 and 1 tokens.
NAN = float("nan")
HIDDEN_VALUES = torch.tensor(
    [
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [NAN] * 3, [NAN] * 3],
        [[7.0, 8.0, 9.0], [0.1, 0.2, 0.3], [-1.0, -2.0, -3.0], [NAN] * 3],
        [[0.5, 0.25, 65504.0], [NAN] * 3, [NAN] * 3, [NAN] * 3],
    ]
)


def put_all(writer: ArrayWriter) -> None:
    """Two batches, out of order."""
    for rows in (np.array([2, 0]), np.array([1])):
        writer.put(rows, "logits", LOGIT_VALUES[rows])
        writer.put(torch.from_numpy(rows), "hidden_3", HIDDEN_VALUES[rows])
        writer.put(rows, "query_1", HIDDEN_VALUES[rows, :3, :1])


def never(_: ArrayWriter) -> None:
    raise AssertionError("written although it is there")


def create(
    root: Path, write: Callable[[ArrayWriter], None] = put_all, key: str = "key"
) -> TeacherCache:
    return TeacherCache.open_or_create(root, key, SPECS, LENGTHS, write, lambda _: None)


def find(root: Path, key: str = "key") -> TeacherCache | None:
    return TeacherCache.find(root, key, SPECS, LENGTHS)


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*/*"))


def assert_whole(cache: TeacherCache | None) -> None:
    assert cache is not None
    assert torch.equal(cache.rows("logits", np.array([0, 1, 2])), LOGIT_VALUES)
    assert cache.rows("query_1", np.array([1, 2])).flatten().tolist() == [
        *(7.0, float(torch.tensor(0.1)), -1.0),
        *(0.5, 0.0, 0.0),
    ]


class TestArrays:
    def test_what_is_put_per_row_is_read_in_any_order(self, tmp_path: Path) -> None:
        cache = create(tmp_path)
        rows = cache.rows("logits", torch.tensor([2, 0, 2]))
        assert rows.dtype == torch.float32
        assert torch.equal(rows, LOGIT_VALUES[[2, 0, 2]])

    def test_what_is_put_per_token_comes_padded_with_zeros(self, tmp_path: Path) -> None:
        cache = create(tmp_path)
        rows = cache.rows("hidden_3", np.array([2, 1]))
        assert rows.dtype == torch.float16
        expected = HIDDEN_VALUES[[2, 1], :3].nan_to_num(0.0).half()
        assert torch.equal(rows, expected)
        assert rows[1, 1].tolist() == [float(np.float16(x)) for x in (0.1, 0.2, 0.3)]

    def test_the_padding_reaches_to_seq_and_the_dtype_is_widened(self, tmp_path: Path) -> None:
        rows = create(tmp_path).rows("hidden_3", np.array([0]), seq=5, dtype=torch.float32)
        assert rows.dtype == torch.float32
        assert rows.tolist() == [[[1, 2, 3], [4, 5, 6], [0, 0, 0], [0, 0, 0], [0, 0, 0]]]

    def test_files_hold_the_lines_alone(self, tmp_path: Path) -> None:
        folder = create(tmp_path).folder
        sizes = {path.name: path.stat().st_size for path in folder.glob("*.bin")}
        assert sizes == {"logits.bin": 3 * 2 * 4, "hidden_3.bin": 6 * 3 * 2, "query_1.bin": 6 * 4}
        lines = np.fromfile(folder / "hidden_3.bin", dtype=np.float16).reshape(6, 3)
        assert lines[[0, 2, 5]].tolist() == [[1, 2, 3], [7, 8, 9], [0.5, 0.25, 65504]]

    def test_what_is_read_can_be_changed_and_leaves_the_file_alone(self, tmp_path: Path) -> None:
        cache = create(tmp_path)
        for name in ("logits", "query_1"):
            cache.rows(name, np.array([0, 1, 2])).zero_()
        assert_whole(cache)

    def test_row_numbers_of_a_small_type_do_not_overflow(self, tmp_path: Path) -> None:
        lengths = np.full(256, 2)
        values = torch.arange(512.0).view(256, 2, 1)

        def write(writer: ArrayWriter) -> None:
            writer.put(np.arange(256, dtype=np.uint8), "query_1", values)

        cache = TeacherCache.open_or_create(
            tmp_path, "key", [QUERY], lengths, write, lambda _: None
        )
        assert cache.rows("query_1", np.array([255], dtype=np.uint8)).tolist() == [[[510], [511]]]

    def test_bfloat16_can_be_put(self, tmp_path: Path) -> None:
        def write(writer: ArrayWriter) -> None:
            writer.put(np.arange(3), "logits", LOGIT_VALUES.bfloat16().requires_grad_())

        cache = TeacherCache.open_or_create(
            tmp_path, "key", [LOGITS], LENGTHS, write, lambda _: None
        )
        assert torch.equal(cache.rows("logits", np.arange(3)), LOGIT_VALUES.bfloat16().float())

    @pytest.mark.parametrize(
        ("rows", "name", "values", "message"),
        [
            ([0], "logit", torch.zeros(1, 2), r"one of logits, hidden_3, query_1, got 'logit'"),
            ([3], "logits", torch.zeros(1, 2), r"`rows` to be in \[0, 3\), got 3"),
            ([-1], "logits", torch.zeros(1, 2), r"`rows` to be in \[0, 3\), got -1"),
            ([0.5], "logits", torch.zeros(1, 2), r"row numbers \[batch\], got float64"),
            ([0], "logits", torch.zeros(1, 3), r"`logits` in the shape \[1, 2\], got \[1, 3\]"),
            (
                [1],
                "hidden_3",
                torch.zeros(1, 2, 3),
                r"the shape \[1, at least 3, 3\], got \[1, 2, 3\]",
            ),
            ([1], "hidden_3", torch.zeros(1, 3), r"at least 3, 3\], got \[1, 3\]"),
            ([0, 0], "logits", torch.zeros(2, 2), r"`logits` to be put once, got row 0 again"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, tmp_path: Path, rows: list[float], name: str, values: Tensor, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            create(tmp_path, lambda writer: writer.put(np.array(rows), name, values))
        assert folders(tmp_path) == []

    def test_a_row_is_put_once_in_all(self, tmp_path: Path) -> None:
        def write(writer: ArrayWriter) -> None:
            put_all(writer)
            writer.put(np.array([1]), "logits", LOGIT_VALUES[:1])

        with pytest.raises(ValueError, match=r"`logits` to be put once, got row 1 again"):
            create(tmp_path, write)

    def test_a_row_that_was_not_put_is_named(self, tmp_path: Path) -> None:
        def write(writer: ArrayWriter) -> None:
            writer.put(np.arange(3), "logits", LOGIT_VALUES)
            writer.put(np.array([0, 2]), "hidden_3", HIDDEN_VALUES[[0, 2]])

        with pytest.raises(ValueError, match=r"all 3 rows of `hidden_3`.* got 2; row 1 is missing"):
            create(tmp_path, write)
        assert find(tmp_path) is None

    @pytest.mark.parametrize(
        ("name", "values", "message"),
        [
            (
                "hidden_3",
                torch.full((1, 3, 3), 7e4),
                r"`hidden_3` of row 1 to be finite in float16, got .*keep it in float32 or look",
            ),
            ("logits", torch.tensor([[0.0, NAN]]), r"`logits` of row 1 .* in float32, .*NaN; look"),
        ],
    )
    def test_what_is_not_finite_is_refused(
        self, tmp_path: Path, name: str, values: Tensor, message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            create(tmp_path, lambda writer: writer.put(np.array([1]), name, values))

    def test_what_cannot_be_read_is_refused(self, tmp_path: Path) -> None:
        cache = create(tmp_path)
        with pytest.raises(ValueError, match=r"one of logits, hidden_3, query_1, got 'value_1'"):
            cache.rows("value_1", np.array([0]))
        with pytest.raises(ValueError, match=r"`rows` to be in \[0, 3\), got -1"):
            cache.rows("logits", np.array([-1]))
        with pytest.raises(ValueError, match=r"`seq` to be at least 3, .* got 2"):
            cache.rows("hidden_3", np.array([0, 1]), seq=2)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: ArraySpec("../logits", 2), r"letters, digits and _, got '../logits'"),
            (lambda: ArraySpec("logits", 0), r"`width` to be at least 1, got 0"),
            (lambda: ArraySpec("logits", 2, torch.bfloat16), r"float32 or .*float16, got .*bfloat"),
        ],
    )
    def test_an_illegal_spec_is_refused(self, make: Callable[[], ArraySpec], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            make()


class TestSharing:
    def test_the_second_call_reads(self, tmp_path: Path) -> None:
        first = create(tmp_path)
        second = create(tmp_path, never)
        assert second.folder == first.folder
        assert_whole(second)

    def test_the_folder_is_never_opened_for_writing(self, tmp_path: Path) -> None:
        folder = create(tmp_path).folder
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert_whole(create(tmp_path, never))
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before

    def test_another_key_has_a_folder_of_its_own(self, tmp_path: Path) -> None:
        first = create(tmp_path, key=cache_key({"teacher": "a"}))
        second = create(tmp_path, key=cache_key({"teacher": "b"}))
        assert first.folder.parent != second.folder.parent
        assert find(tmp_path, cache_key({"teacher": "c"})) is None

    def test_a_wider_cache_serves_those_who_want_some_of_it(self, tmp_path: Path) -> None:
        wide = create(tmp_path)
        some = TeacherCache.open_or_create(
            tmp_path, "key", [QUERY, LOGITS], LENGTHS, never, lambda _: None
        )
        assert some.folder == wide.folder
        assert_whole(some)

    @pytest.mark.parametrize(
        ("spec", "lengths"),
        [
            (ArraySpec("hidden_4", 3, torch.float16, per_token=True), LENGTHS),
            (ArraySpec("hidden_3", 3, torch.float32, per_token=True), LENGTHS),
            (ArraySpec("hidden_3", 2, torch.float16, per_token=True), LENGTHS),
            (HIDDEN, np.array([3, 2, 1])),
        ],
    )
    def test_other_arrays_or_lengths_are_not_served(
        self, tmp_path: Path, spec: ArraySpec, lengths: np.ndarray
    ) -> None:
        create(tmp_path)
        assert TeacherCache.find(tmp_path, "key", [spec], lengths) is None

    def test_two_sets_of_arrays_live_side_by_side(self, tmp_path: Path) -> None:
        narrow = TeacherCache.open_or_create(
            tmp_path,
            "key",
            [LOGITS],
            LENGTHS,
            lambda writer: writer.put(np.arange(3), "logits", LOGIT_VALUES),
            lambda _: None,
        )
        wide = create(tmp_path)
        assert narrow.folder != wide.folder
        assert narrow.rows("logits", np.array([1])).tolist() == LOGIT_VALUES[[1]].tolist()
        assert_whole(wide)

    @pytest.mark.parametrize(
        ("key", "specs", "lengths", "message"),
        [
            ("../key", SPECS, LENGTHS, r"`key` of letters, digits, - and _, got '../key'"),
            ("key", [], LENGTHS, r"different names, at least one, got \[\]"),
            ("key", [LOGITS, LOGITS], LENGTHS, r"got \['logits', 'logits'\]"),
            ("key", SPECS, np.array([], dtype=int), r"at least one token a row"),
            ("key", SPECS, np.array([1, 0]), r"at least one token a row"),
        ],
    )
    def test_illegal_arguments_are_refused(
        self,
        tmp_path: Path,
        key: str,
        specs: list[ArraySpec],
        lengths: np.ndarray,
        message: str,
    ) -> None:
        with pytest.raises(ValueError, match=message):
            TeacherCache.find(tmp_path, key, specs, lengths)


class TestPartialCache:
    def test_a_writer_that_raises_leaves_nothing(self, tmp_path: Path) -> None:
        def write(writer: ArrayWriter) -> None:
            writer.put(np.arange(3), "logits", LOGIT_VALUES)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            create(tmp_path, write)
        assert folders(tmp_path) == []
        assert find(tmp_path) is None
        assert_whole(create(tmp_path))

    def test_a_killed_writer_leaves_nothing_that_is_used(self, tmp_path: Path) -> None:
        kill_a_writer(tmp_path)
        (left,) = folders(tmp_path)
        assert left.endswith(".unfinished")
        assert find(tmp_path) is None
        cache = create(tmp_path)
        assert_whole(cache)
        assert folders(tmp_path) == [cache.folder.name]

    def test_the_writer_of_another_key_removes_it(self, tmp_path: Path) -> None:
        kill_a_writer(tmp_path)
        cache = create(tmp_path, key="other")
        assert folders(tmp_path) == [cache.folder.name]

    def test_a_writer_at_work_is_left_alone(self, tmp_path: Path) -> None:
        def write(writer: ArrayWriter) -> None:
            create(tmp_path, key="other")
            put_all(writer)

        assert_whole(create(tmp_path, write))

    def test_a_renamed_partial_folder_is_written_anew(self, tmp_path: Path) -> None:
        folder = create(tmp_path).folder
        (folder / "manifest.json").unlink()
        assert find(tmp_path) is None
        assert_whole(create(tmp_path))

    @pytest.mark.parametrize("name", ["logits.bin", "hidden_3.bin", "query_1.bin", "manifest.json"])
    def test_a_shortened_file_is_written_anew(self, tmp_path: Path, name: str) -> None:
        path = create(tmp_path).folder / name
        path.write_bytes(path.read_bytes()[:-1])
        assert find(tmp_path) is None
        assert_whole(create(tmp_path))

    def test_a_file_that_grew_or_is_gone_is_written_anew(self, tmp_path: Path) -> None:
        path = create(tmp_path).folder / "logits.bin"
        path.write_bytes(path.read_bytes() + b"\0")
        assert find(tmp_path) is None
        path = create(tmp_path).folder / "logits.bin"
        path.unlink()
        assert find(tmp_path) is None
        assert_whole(create(tmp_path))


class TestDisk:
    def test_the_size_and_the_folder_are_said_before_it_is_written(self, tmp_path: Path) -> None:
        said: list[str] = []
        hidden = ArraySpec("hidden_3", 2**18, torch.float16, per_token=True)

        def write(writer: ArrayWriter) -> None:
            assert len(said) == 1
            writer.put(np.arange(3), "hidden_3", torch.zeros(3, 3, 2**18))

        cache = TeacherCache.open_or_create(tmp_path, "key", [hidden], LENGTHS, write, said.append)
        # 6 tokens of 2^18 numbers of 2 bytes
        expected = f"Writing the teacher's cache: 3.0 MiB for 3 rows to {str(cache.folder)!r}."
        assert said == [expected]

    def test_a_disk_that_is_too_small_is_refused_before_the_teacher_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = Usage(free=256 * 2**20 + 83)  # one byte less than the margin and the files
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        message = (
            r"256.0 MiB of free disk for .* \(0.0 MiB, and 256.0 MiB to spare\), got 256.0 MiB;"
            r" choose another folder with GLINT_CACHE, float16, fewer terms, or `cache: false`"
        )
        with pytest.raises(InputError, match=message):
            create(tmp_path, never)
        assert [path.name for path in tmp_path.iterdir()] == ["key.lock"]
        usage = Usage(free=256 * 2**20 + 84)
        assert_whole(create(tmp_path))

    def test_a_full_disk_loses_what_was_unused_for_longest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for hours, key in ((0.5, "in_use"), (2, "old"), (4, "oldest"), (3, "older")):
            create(tmp_path, key=key)
            opened = time.time() - hours * 3600
            os.utime(tmp_path / f"{key}.lock", (opened, opened))
        # The disk has room for these four, and two more caches come.
        monkeypatch.setattr(
            shutil,
            "disk_usage",
            lambda _: Usage(free=MARGIN + 84 * (4 - len(list(tmp_path.glob(f"*/*/{MANIFEST}"))))),
        )
        assert_whole(find(tmp_path, "oldest"))  # and is now the one that was used last
        for new, left in (("a", {"in_use", "old", "oldest"}), ("b", {"in_use", "oldest", "a"})):
            assert_whole(create(tmp_path, key=new))
            there = {path.parent.parent.name for path in tmp_path.glob(f"*/*/{MANIFEST}")}
            assert there == {*left, new}
        with pytest.raises(InputError, match="of free disk"):
            create(tmp_path, never, key="c")
        assert find(tmp_path, "in_use") is not None

    def test_a_cache_that_is_there_needs_no_space(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=0))
        assert_whole(create(tmp_path, never))

    def test_a_disk_that_fills_up_meanwhile_is_refused(self, tmp_path: Path) -> None:
        def write(_: ArrayWriter) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(InputError, match=r"but: .*No space left on device; choose another"):
            create(tmp_path, write)
        assert folders(tmp_path) == []

    def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"teacher's cache to '.*file/teachers', but: "):
            create(tmp_path / "file" / "teachers", never)

    def test_the_default_folder_follows_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv("GLINT_CACHE", raising=False)
        assert default_cache_root() == tmp_path / ".cache/glint/teachers"
        monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
        assert default_cache_root() == Path("/xdg/glint/teachers")
        monkeypatch.setenv("GLINT_CACHE", "~/disk")
        assert default_cache_root() == tmp_path / "disk/teachers"


def test_of_two_processes_that_want_it_at_once_one_writes_and_both_read(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    other_waits = context.Event()
    processes = [
        context.Process(target=_open_at_once, args=(tmp_path, number, other_waits))
        for number in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(tmp_path.glob("written_by_*"))) == 1
    for number in range(2):
        assert np.array_equal(np.load(tmp_path / f"logits_{number}.npy"), LOGIT_VALUES.numpy())
    assert_whole(create(tmp_path / "root", never))


def _open_at_once(folder: Path, number: int, other_waits: Event) -> None:
    """The writer holds on until the other has come to wait: the race is the same each time."""

    def write(writer: ArrayWriter) -> None:
        (folder / f"written_by_{number}").touch()
        assert other_waits.wait(240)
        put_all(writer)

    def say(message: str) -> None:
        if message.startswith("Waiting for the process that writes"):
            other_waits.set()

    root = folder / "root"
    cache = TeacherCache.open_or_create(root, "key", SPECS, LENGTHS, write, say)
    np.save(folder / f"logits_{number}.npy", cache.rows("logits", np.arange(3)).numpy())


class Usage(NamedTuple):
    free: int


def kill_a_writer(root: Path) -> None:
    """A process writes some rows into the cache and is killed by SIGKILL."""
    code = """
import os, signal, sys
from multiprocessing.synchronize import Event
from pathlib import Path
from tests.lightning_app import test_teacher_cache as t

def write(writer):
    t.put_all(writer)
    for file in writer._files.values():
        file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

t.create(Path(sys.argv[1]), write)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
