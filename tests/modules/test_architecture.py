from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from lightning_app.errors import InputError
from modules.architecture import ArchitectureRecord


@pytest.fixture
def record(tiny_model: str) -> ArchitectureRecord:
    config = AutoConfig.from_pretrained(tiny_model, num_labels=3)
    return ArchitectureRecord.of_config(tiny_model, config)


def shapes(network: Any) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def test_survives_a_checkpoint_of_plain_values(record: ArchitectureRecord, tmp_path: Path) -> None:
    record = record.with_operation("reinitialize", num_layers=1)
    torch.save(record.as_plain(), tmp_path / "record.pt")
    plain = torch.load(tmp_path / "record.pt", weights_only=True)
    assert ArchitectureRecord.from_plain(plain) == record


def test_builds_the_same_names_and_shapes(record: ArchitectureRecord, tiny_model: str) -> None:
    network = AutoModelForSequenceClassification.from_pretrained(
        tiny_model, num_labels=3, ignore_mismatched_sizes=True
    )
    built = ArchitectureRecord.from_plain(record.as_plain()).build()
    assert shapes(built) == shapes(network)
    assert built.config.to_dict() | {"architectures": None} == (
        AutoConfig.from_pretrained(tiny_model, num_labels=3).to_dict() | {"architectures": None}
    )


def test_history_grows_without_changing_the_record_before(record: ArchitectureRecord) -> None:
    after = record.with_operation("prune", heads=[1, 2])
    load = {"operation": "load", "from": record.base_model}
    assert record.history == [load]
    assert after.history == [load, {"operation": "prune", "heads": [1, 2]}]


def test_a_newer_record_is_refused(record: ArchitectureRecord) -> None:
    plain = {**record.as_plain(), "version": 2}
    with pytest.raises(InputError, match=r"version 1 or older, got 2: .* newer Glint"):
        ArchitectureRecord.from_plain(plain)
