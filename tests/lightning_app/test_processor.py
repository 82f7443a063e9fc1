from pathlib import Path

import pytest

from lightning_app.processor import FEATURE_NAMES, Processor

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu avx avx2 avx512f avx512_bf16 avx512_vnni amx_bf16 amx_tile amx_int8
processor\t: 1
model name\t: other
"""


def processor(tmp_path: Path, info: str, **groups: str) -> Processor:
    for name, text in {"cpuinfo": info, "meminfo": "MemTotal:  2048 kB\nMemFree: 1 kB\n"}.items():
        (tmp_path / name).write_text(text)
    for name, text in groups.items():
        (tmp_path / name.replace("_", ".")).write_text(text)
    return Processor.here(tmp_path, tmp_path)


def test_reads_name_features_and_memory(tmp_path: Path) -> None:
    found = processor(tmp_path, XEON)
    assert found.name == "Intel(R) Xeon(R) Processor"
    assert found.features == set(FEATURE_NAMES)
    assert found.memory == 2048 * 1024
    assert found.has_fast_int8


@pytest.mark.parametrize(
    ("line", "features", "fast"),
    [
        ("flags : avx2 avx512f avx512bw", {"AVX2", "AVX-512"}, False),
        ("flags : avx2 avx_vnni", {"AVX2", "VNNI"}, True),
        ("Features\t: fp asimd asimddp", {"VNNI"}, True),
        ("flags : not_avx2 xavx512_vnni", set(), False),
        ("", set(), False),
    ],
)
def test_features_are_whole_words(
    line: str, features: set[str], fast: bool, tmp_path: Path
) -> None:
    found = processor(tmp_path, line)
    assert found.features == features
    assert found.has_fast_int8 is fast


def test_limits_of_a_container_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3})
    found = processor(tmp_path, XEON, cpu_max="150000 100000\n", memory_max="1000000\n")
    assert (found.cores, found.memory) == (1.5, 1000000)
    unlimited = processor(tmp_path, XEON, cpu_max="max 100000\n", memory_max="max\n")
    assert (unlimited.cores, unlimited.memory) == (4, 2048 * 1024)


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    found = Processor.here(tmp_path / "absent", tmp_path / "absent")
    assert found.memory is None
    assert found.features == frozenset()
    assert found.cores >= 1
