"""Where a fit begins: a pretrained network, the result of an earlier fit, or a student of these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.errors import InputError
from lightning_app.pretrained import config_from_plain, is_checkpoint, load_config, load_network
from lightning_app.task import Task
from modules.architecture import ArchitectureRecord
from modules.base_model import set_dropout
from modules.fake_quantization import apply_quantization
from modules.student_network import cut_student, fresh_student
from modules.student_structure import StudentStructure

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Search = Callable[["PreTrainedModel", int], list[int]]
"""From a network and a number of layers to the positions of those to keep."""

PREFIX = "network."
"""Of the network's names in a checkpoint."""


@dataclass(frozen=True)
class StartingNetwork:
    """A network with a head for the task, and its record."""

    network: "PreTrainedModel"
    architecture: ArchitectureRecord


def starting_network(
    name: str,
    task: Task,
    dropout: Mapping[str, float | None],
    structure: StudentStructure | None = None,
    search: Search | None = None,
) -> StartingNetwork:
    """The network to train.

    Args:
        name: Hub id, folder, ``embedded``, or a checkpoint of `glint fit`.
        task: Says the labels; a checkpoint's head is kept if it has the same.
        dropout: ``hidden_dropout`` and ``attention_dropout``; None for the base model's.
        structure: Of a student in place of the network itself.
        search: Finds so many layers of a network, for a structure that wants it.
    """
    if structure is not None and structure.weights == "fresh":
        base = _record(name, task, dropout).with_quantization(None)
        record = fresh_student(base, structure)
        return StartingNetwork(record.build(), record)
    find = _of_checkpoint if is_checkpoint(name) else _of_pretrained
    start = find(name, task, dropout)
    if structure is None:
        return start
    start = _without_quantization(start)
    if structure.wants_search:
        structure = structure.with_layers(_search(start.network, structure, search))
    return StartingNetwork(*cut_student(start.network, start.architecture, structure))


def _without_quantization(start: StartingNetwork) -> StartingNetwork:
    """A student is another network: what was quantized in its teacher says nothing about it."""
    apply_quantization(start.network, None)
    return replace(start, architecture=start.architecture.with_quantization(None))


def _search(
    network: "PreTrainedModel", structure: StudentStructure, search: Search | None
) -> list[int]:
    if search is None:
        raise InputError(
            "Expected a fit with a data module for `model.structure.layer_map: searched`, got none;"
            " set `even`, `first` or `last`."
        )
    assert isinstance(structure.num_layers, int), "searched is of a number"
    return search(network, structure.num_layers)


def _record(name: str, task: Task, dropout: Mapping[str, float | None]) -> ArchitectureRecord:
    """Of the network that a student is made of, without its weights."""
    if is_checkpoint(name):
        return _record_of_checkpoint(name, read_glint_checkpoint(name), task, dropout)
    config = load_config(name)
    _configure(config, task, dropout)
    return ArchitectureRecord.of_config(name, config)


def _of_pretrained(name: str, task: Task, dropout: Mapping[str, float | None]) -> StartingNetwork:
    config = load_config(name)
    _configure(config, task, dropout)
    network = load_network(name, config)
    return StartingNetwork(network, ArchitectureRecord.of_config(name, config))


def _of_checkpoint(name: str, task: Task, dropout: Mapping[str, float | None]) -> StartingNetwork:
    checkpoint = read_glint_checkpoint(name)
    before = Task.from_plain(checkpoint["task"])
    record = _record_of_checkpoint(name, checkpoint, task, dropout)
    network = record.build()
    weights = network_weights(checkpoint["state_dict"])
    if (before.label_names, before.problem_type) != (task.label_names, task.problem_type):
        head = _head_names(network)
        fresh = network.state_dict()
        weights = {key: fresh[key] if key in head else t for key, t in weights.items()}
    network.load_state_dict(weights)
    return StartingNetwork(network, record)


def _record_of_checkpoint(
    name: str, checkpoint: Mapping[str, Any], task: Task, dropout: Mapping[str, float | None]
) -> ArchitectureRecord:
    record = ArchitectureRecord.from_plain(checkpoint["architecture"])
    config = config_from_plain(record.config)
    _configure(config, task, dropout)
    plain = ArchitectureRecord.of_config(name, config).config
    return replace(record, config=plain).with_operation("continue", checkpoint=name)


def network_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a checkpoint's weights those of the network, by the network's own names."""
    return {k.removeprefix(PREFIX): t for k, t in state_dict.items() if k.startswith(PREFIX)}


def _head_names(network: "PreTrainedModel") -> set[str]:
    encoder = {id(parameter) for parameter in network.base_model.parameters()}
    return {name for name, parameter in network.named_parameters() if id(parameter) not in encoder}


def _configure(config: "PreTrainedConfig", task: Task, dropout: Mapping[str, float | None]) -> None:
    plain: Any = config
    plain.id2label = dict(enumerate(task.label_names))
    plain.label2id = {name: i for i, name in enumerate(task.label_names)}
    plain.problem_type = task.problem_type
    for kind, value in dropout.items():
        set_dropout(config, kind, value)
