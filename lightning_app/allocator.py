"""Keep freed memory in the process: what a training step frees, the next step takes."""

import ctypes
import mmap
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h
_MADV_HUGEPAGE = 14  # Linux, mman-common.h; `mmap.MADV_HUGEPAGE` where Python was built with it
_HUGE_PAGE = 2 << 20
_LARGEST = 2**31 - 1  # mallopt takes an int
_MAX_RESERVED = _LARGEST - _HUGE_PAGE  # a block above the threshold would not lie on the heap


def keep_large_blocks(reserved_bytes: int = _MAX_RESERVED) -> bool:
    """Tell glibc to keep large blocks and to put them on huge pages; call it once, early.

    By default glibc takes each block above 128 KiB to 32 MiB from the kernel and gives it back
    when freed: a training step then takes thousands of page faults, most of them for the gradient
    of the embeddings. Here ``mallopt`` keeps the blocks, and the room the heap will grow into is
    marked for transparent huge pages: measured by `python -m benchmarks.kernels`. It works after
    start, unlike glibc's tunables and torch's ``THP_MEM_ALLOC_ENABLE``, which are read before our
    first line.

    The process does not return memory to the system while it lives; its peak is unchanged.

    Args:
        reserved_bytes: address space to mark for huge pages, in bytes, at most 2 GiB less 2 MiB.
            Not memory: a page counts once it is used. 0 marks none.

    Raises:
        ValueError: If `reserved_bytes` is negative or above the most.

    Returns:
        Whether anything was changed: True on Linux with glibc, False elsewhere.
    """
    if not 0 <= reserved_bytes <= _MAX_RESERVED:
        raise ValueError(
            f"Expected `reserved_bytes` to be in [0, {_MAX_RESERVED}], got {reserved_bytes}."
        )
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    kept = all(
        libc.mallopt(option, _LARGEST) == 1 for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    )
    if kept and reserved_bytes > 0:
        _mark_heap_for_huge_pages(libc, reserved_bytes)
    return kept


def _mark_heap_for_huge_pages(libc: ctypes.CDLL, num_bytes: int) -> None:
    """Grow the heap by `num_bytes`, mark it, and free it: untrimmed, it stays the heap's end.

    Where the system refuses so much (``ulimit -v``, strict overcommit), nothing is marked.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(num_bytes)
    if block is None:
        return
    start = -(-block // _HUGE_PAGE) * _HUGE_PAGE
    length = (block + num_bytes - start) // _HUGE_PAGE * _HUGE_PAGE
    if length > 0:
        libc.madvise(start, length, getattr(mmap, "MADV_HUGEPAGE", _MADV_HUGEPAGE))
    libc.free(block)
