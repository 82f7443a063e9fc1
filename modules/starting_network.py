"""Where a fit begins: a pretrained network, or the result of an earlier fit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.pretrained import config_from_plain, is_checkpoint, load_config, load_network
from lightning_app.task import Task
from modules.architecture import ArchitectureRecord
from modules.base_model import set_dropout

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

PREFIX = "network."
"""Of the network's names in a checkpoint."""


@dataclass(frozen=True)
class StartingNetwork:
    """A network with a head for the task, and its record."""

    network: "PreTrainedModel"
    architecture: ArchitectureRecord


def starting_network(name: str, task: Task, dropout: Mapping[str, float | None]) -> StartingNetwork:
    """The network to train.

    Args:
        name: Hub id, folder, ``embedded``, or a checkpoint of `glint fit`.
        task: Says the labels; a checkpoint's head is kept if it has the same.
        dropout: ``hidden_dropout`` and ``attention_dropout``; None for the base model's.
    """
    if is_checkpoint(name):
        return _of_checkpoint(name, task, dropout)
    config = load_config(name)
    _set_labels(config, task)
    for kind, value in dropout.items():
        set_dropout(config, kind, value)
    network = load_network(name, config)
    return StartingNetwork(network, ArchitectureRecord.of_config(name, config))


def _of_checkpoint(name: str, task: Task, dropout: Mapping[str, float | None]) -> StartingNetwork:
    checkpoint = read_glint_checkpoint(name)
    record = ArchitectureRecord.from_plain(checkpoint["architecture"])
    before = Task.from_plain(checkpoint["task"])
    config = config_from_plain(record.config)
    _set_labels(config, task)
    for kind, value in dropout.items():
        set_dropout(config, kind, value)
    plain = ArchitectureRecord.of_config(name, config).config
    record = replace(record, config=plain).with_operation("continue", checkpoint=name)
    network = record.build()
    weights = {key.removeprefix(PREFIX): t for key, t in checkpoint["state_dict"].items()}
    if (before.label_names, before.problem_type) != (task.label_names, task.problem_type):
        head = _head_names(network)
        fresh = network.state_dict()
        weights = {key: fresh[key] if key in head else t for key, t in weights.items()}
    network.load_state_dict(weights)
    return StartingNetwork(network, record)


def _head_names(network: "PreTrainedModel") -> set[str]:
    encoder = {id(parameter) for parameter in network.base_model.parameters()}
    return {name for name, parameter in network.named_parameters() if id(parameter) not in encoder}


def _set_labels(config: "PreTrainedConfig", task: Task) -> None:
    plain: Any = config
    plain.id2label = dict(enumerate(task.label_names))
    plain.label2id = {name: i for i, name in enumerate(task.label_names)}
    plain.problem_type = task.problem_type
