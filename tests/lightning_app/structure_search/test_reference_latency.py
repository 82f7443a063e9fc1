"""The time of plain PyTorch: measured once, and read from the disk afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoConfig

from lightning_app.structure_search import reference_latency as module
from lightning_app.structure_search.reference_latency import reference_latency
from modules.architecture import ArchitectureRecord


@pytest.fixture
def record(tiny_model: str) -> ArchitectureRecord:
    return ArchitectureRecord.of_config("tiny", AutoConfig.from_pretrained(tiny_model))


def test_it_is_measured_once_and_kept(record: ArchitectureRecord, tmp_path: Path) -> None:
    said: list[str] = []
    first = reference_latency(record, 1, 1, 16, said.append, tmp_path, seconds=0.1)
    assert reference_latency(record, 1, 1, 16, said.append, tmp_path, seconds=0.1) == first > 0
    assert sum("Measuring" in sentence for sentence in said) == 1
    (file,) = tmp_path.glob("eager-*.json")
    kept = json.loads(file.read_text())
    assert kept["steady"]["16"] == first
    assert kept["facts"]["threads"] == 1


def test_other_sizes_are_another_measurement(
    record: ArchitectureRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_up(record: ArchitectureRecord, threads: int, *_: object) -> object:
        times = {"8": 1.0 * threads, "16": 3.0 * threads}
        return {"steady": times, "changing": times, "waited": 0.2}

    monkeypatch.setattr(module, "_measured", made_up)

    said: list[str] = []
    assert reference_latency(record, 1, 1, [8, 16], said.append, tmp_path) == 2.0
    assert reference_latency(record, 2, 1, [12, 16], said.append, tmp_path) == 5.0
    wider = replace(record, config={**record.config, "intermediate_size": 99})
    reference_latency(wider, 1, 1, [8, 16], said.append, tmp_path)
    assert len(list(tmp_path.glob("eager-*.json"))) == 3
    assert sum("Other programs were computing" in sentence for sentence in said) == 3
