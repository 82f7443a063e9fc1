from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from lightning_app.errors import InputError
from modules.architecture import ArchitectureRecord, LayerShape


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
    plain = {**record.as_plain(), "version": 5}
    with pytest.raises(InputError, match=r"version 4 or older, got 5: .* newer Glint"):
        ArchitectureRecord.from_plain(plain)


def test_a_record_from_before_pruning_is_read(record: ArchitectureRecord) -> None:
    old = {"version": 1, "base_model": "b", "config": record.config, "history": []}
    read = ArchitectureRecord.from_plain(old)
    assert (read.layers, read.layout) == (None, "hf_uniform")
    assert read.as_plain() == old  # and a Glint of that time reads what needs no more


def test_layers_survive_a_checkpoint_of_plain_values(
    record: ArchitectureRecord, tmp_path: Path
) -> None:
    shapes = (LayerShape((1,), 5), LayerShape((0, 1), 40))
    pruned = record.with_shapes(shapes).with_operation("prune")
    torch.save(pruned.as_plain(), tmp_path / "record.pt")
    plain = torch.load(tmp_path / "record.pt", weights_only=True)
    assert plain["version"] == 2
    assert plain["layers"][0] == {"heads": [1], "intermediate_size": 5}
    read = ArchitectureRecord.from_plain(plain)
    assert read == pruned
    assert (read.layers, read.layout, read.config["intermediate_size"]) == (shapes, "free", 40)
    assert record.config["intermediate_size"] == 48


def test_builds_the_layers_as_they_are(record: ArchitectureRecord) -> None:
    built = record.with_shapes([LayerShape((1,), 5), LayerShape((0, 1), 40)]).build()
    weights = built.state_dict()
    layer = "bert.encoder.layer.0"
    assert weights[f"{layer}.attention.self.query.weight"].shape == (16, 32)
    assert weights[f"{layer}.attention.self.value.bias"].shape == (16,)
    assert weights[f"{layer}.attention.output.dense.weight"].shape == (32, 16)
    assert weights[f"{layer}.output.dense.weight"].shape == (32, 5)
    assert weights["bert.encoder.layer.1.intermediate.dense.weight"].shape == (40, 32)
    assert list(weights) == list(record.build().state_dict())


def test_what_the_configuration_can_say_stands_there(record: ArchitectureRecord) -> None:
    uniform = record.with_shapes([LayerShape((0, 1), 7)])
    assert (uniform.layers, uniform.layout) == (None, "hf_uniform")
    assert uniform.config["num_hidden_layers"] == 1
    assert uniform.config["intermediate_size"] == 7
    assert uniform.build().config.num_hidden_layers == 1
    for shapes in (
        [LayerShape((0, 1), 7), LayerShape((0, 1), 8)],
        [LayerShape((0,), 7)],
        [LayerShape((1,), 7), LayerShape((1,), 7)],
    ):
        assert record.with_shapes(shapes).layout == "free"
