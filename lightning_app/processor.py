"""What this machine's processor and memory offer."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

# By what /proc/cpuinfo calls them.
_FEATURES = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni", "asimddp"),
    "AVX512-BF16": ("avx512_bf16",),
    "AMX": ("amx_tile",),
}


@dataclass(frozen=True)
class Processor:
    """A processor, as far as this process may use it.

    Args:
        name: Its maker's.
        cores: That this process may run on, hyperthreads counted.
        memory: In bytes, or the limit of this process's group if that is less; None if unknown.
        features: Names in ``FEATURE_NAMES`` that it has.
    """

    name: str
    cores: float
    memory: int | None
    features: frozenset[str]

    @property
    def has_fast_int8(self) -> bool:
        """Whether it has an instruction for products of 8-bit integers summed to 32 bits."""
        return bool(self.features & {"VNNI", "AMX"})

    @classmethod
    def here(cls, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> "Processor":
        """The one that this runs on.

        Args:
            proc: Where the kernel describes the machine.
            groups: Where it describes the limits of this process's group.
        """
        info = _read(proc / "cpuinfo")
        flags = set(_field(info, "flags|Features").split())
        features = {name for name, words in _FEATURES.items() if flags & set(words)}
        name = _field(info, "model name") or platform.processor() or platform.machine()
        return cls(name, _cores(groups), _memory(proc, groups), frozenset(features))


FEATURE_NAMES = tuple(_FEATURES)
"""What is looked for; VNNI is also the name for ARM's dot product."""


def _cores(groups: Path) -> float:
    try:
        available: float = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        available = os.cpu_count() or 1
    quota = _read(groups / "cpu.max").split()
    if len(quota) == 2 and quota[0] != "max":
        available = min(available, int(quota[0]) / int(quota[1]))
    return available


def _memory(proc: Path, groups: Path) -> int | None:
    kilobytes = re.match(r"\d+", _field(_read(proc / "meminfo"), "MemTotal"))
    limit = _read(groups / "memory.max").strip()
    sizes = [int(kilobytes[0]) * 1024] if kilobytes else []
    sizes += [int(limit)] if limit.isdigit() else []
    return min(sizes, default=None)


def _field(text: str, names: str) -> str:
    found = re.search(rf"^(?:{names})\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""
