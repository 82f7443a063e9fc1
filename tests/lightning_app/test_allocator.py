import subprocess
import sys

import pytest

from lightning_app import allocator
from lightning_app.allocator import keep_large_blocks

# In a process of its own: the allocator's settings outlive a test.
COUNT_FAULTS = """
import ctypes, resource, sys
from lightning_app.allocator import keep_large_blocks
if sys.argv[1] == "keep":
    assert keep_large_blocks(int(sys.argv[2]))
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
size = 64 << 20
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*arguments: str) -> list[int]:
    """Page faults of taking, filling and freeing 64 MiB, four times in a row."""
    command = [sys.executable, "-c", COUNT_FAULTS, *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(line) for line in output.split()]


glibc_only = pytest.mark.skipif(
    sys.platform != "linux" or allocator.platform.libc_ver()[0] != "glibc", reason="needs glibc"
)


@glibc_only
@pytest.mark.parametrize("reserved", ["0", str(1 << 30)])
def test_freed_blocks_are_taken_again_without_faults(reserved: str) -> None:
    default, kept = page_faults("default", "0"), page_faults("keep", reserved)
    assert min(default[1:]) >= 32  # 16384 pages of 4 KiB, or 32 huge ones
    assert max(kept[1:]) < 32


@pytest.mark.parametrize(
    ("system", "libc"), [("Darwin", ("", "")), ("Windows", ("", "")), ("Linux", ("musl", "1.2"))]
)
def test_does_nothing_without_glibc(
    monkeypatch: pytest.MonkeyPatch, system: str, libc: tuple[str, str]
) -> None:
    monkeypatch.setattr(allocator.platform, "system", lambda: system)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: libc)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda *_, **__: pytest.fail("touched libc"))
    assert keep_large_blocks() is False


@pytest.mark.parametrize("reserved", [-1, 1 << 31])
def test_refuses_what_would_not_lie_on_the_heap(reserved: int) -> None:
    with pytest.raises(ValueError, match=rf"Expected `reserved_bytes` .* got {reserved}"):
        keep_large_blocks(reserved)
