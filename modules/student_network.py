"""A student of a network: with the teacher's weights, or with random ones."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from lightning_app.errors import InputError
from lightning_app.functional.importance import (
    block_importance,
    magnitude_importance,
    normalize_by_layer,
)
from lightning_app.functional.structure_choice import Positions, least_important_by_layer
from lightning_app.pretrained import config_from_plain
from modules.architecture import ArchitectureRecord
from modules.families import layer_parts, layout_for
from modules.hidden_size import cut_hidden_size, hidden_importance, most_important
from modules.structure import keep_layers, layer_shapes, remove_heads_and_neurons
from modules.student_structure import SIZES, StudentStructure

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPERATION = "student"
"""What it is called in the history of an architecture record."""


class _Sizes(NamedTuple):
    hidden_size: int
    num_heads: int
    intermediate_size: int

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_heads


def fresh_student(base: ArchitectureRecord, structure: StudentStructure) -> ArchitectureRecord:
    """The record of a network with the configuration of ``base`` in other sizes.

    Args:
        base: Of a network that a configuration says it all of.
        structure: With ``weights: fresh``; sizes may be larger, too.

    Raises:
        InputError: If ``base`` has layers of shapes of their own, or heads do not divide the
            hidden size, or it is of a family whose layers cannot be changed.
    """
    layout = layout_for(base.config["model_type"])
    if base.layout == "free":
        raise InputError(
            "Expected `model.structure.weights: teacher` for a base model whose layers have shapes"
            " or operators that no `transformers` configuration names, got `fresh`; set `teacher`,"
            " or name another base model."
        )
    sizes = _wanted(_sizes(base), structure)
    _check_heads_divide(sizes)
    record = replace(base, config=_config_of(base, sizes))
    if isinstance(structure.num_layers, int):
        config = {**record.config, layout.num_layers_key: structure.num_layers}
        record = replace(record, config=config)
    return _recorded(record, structure)


def cut_student(
    network: "PreTrainedModel", base: ArchitectureRecord, structure: StudentStructure
) -> tuple["PreTrainedModel", ArchitectureRecord]:
    """A student with weights of its teacher, and its record.

    Args:
        network: The teacher, without hooks; it is changed, too.
        base: The record of ``network``.
        structure: With ``weights: teacher``.

    Raises:
        InputError: If the teacher has not what the student is to have; nothing has changed then.
    """
    layout_for(base.config["model_type"])  # refuses families whose layers cannot be changed
    layers = structure.layers(len(layer_parts(network)))
    before = _sizes(base)
    wanted = _wanted(before, structure)
    if structure.changes_width:
        _check_can_be_cut(base, before, wanted)
    keep_layers(network, layers)
    record = base
    if base.operators is not None:
        record = base.with_operators(base.operators.of_layers(layers))
    if structure.changes_width:
        remove_heads_and_neurons(network, *_least_important(network, before, wanted))
    if wanted.hidden_size < before.hidden_size:
        record = replace(
            record, config=_config_of(record.with_shapes(layer_shapes(network)), wanted)
        )
        dimensions = most_important(hidden_importance(network), wanted.hidden_size)
        network = cut_hidden_size(network, record.config, dimensions)
    record = record.with_shapes(layer_shapes(network))
    return network, _recorded(record, structure, layers=layers)


def _sizes(record: ArchitectureRecord) -> _Sizes:
    layout, config = layout_for(record.config["model_type"]), config_from_plain(record.config)
    keys = ("hidden_size", layout.num_heads_key, layout.intermediate_size_key)
    return _Sizes(*(int(getattr(config, key)) for key in keys))


def _wanted(sizes: _Sizes, structure: StudentStructure) -> _Sizes:
    given = {name: getattr(structure, name) for name in SIZES}
    return sizes._replace(**{name: size for name, size in given.items() if size is not None})


def _config_of(record: ArchitectureRecord, sizes: _Sizes) -> dict[str, Any]:
    """The record's configuration with other widths."""
    layout, before = layout_for(record.config["model_type"]), _sizes(record)
    config = config_from_plain(record.config)
    hidden_size_key = config.attribute_map.get("hidden_size", "hidden_size")
    changes = {
        hidden_size_key: sizes.hidden_size,
        layout.num_heads_key: sizes.num_heads,
        layout.intermediate_size_key: sizes.intermediate_size,
    }
    # ELECTRA projects embeddings of another size; of the same size they are hidden states.
    if record.config.get("embedding_size") == before.hidden_size:
        changes["embedding_size"] = sizes.hidden_size
    return {**record.config, **changes}


def _least_important(
    network: "PreTrainedModel", before: _Sizes, wanted: _Sizes
) -> tuple[Positions, Positions]:
    """The heads and the FFN neurons of each layer that go, by the weights that they write with."""
    layers = layer_parts(network)
    heads = [_column_importance(p.attention_output.weight, p.head_size) for p in layers]
    neurons = [_column_importance(p.output.weight, 1) for p in layers]
    if layers[0].layout.shares_position_bias and wanted.hidden_size < before.hidden_size:
        # A configuration has one table of biases, and so the same heads in all layers.
        heads = [torch.stack(normalize_by_layer(heads)).sum(dim=0)] * len(layers)
    return (
        least_important_by_layer(heads, 1 - wanted.num_heads / before.num_heads),
        least_important_by_layer(neurons, 1 - wanted.intermediate_size / before.intermediate_size),
    )


def _column_importance(weight: Tensor, width: int) -> Tensor:
    """Squared norm of each ``width`` columns of ``[hidden, columns]``."""
    return block_importance(magnitude_importance(weight, order=2), (len(weight), width))[0]


def _check_can_be_cut(base: ArchitectureRecord, before: _Sizes, wanted: _Sizes) -> None:
    if base.layout == "free":
        raise InputError(
            "Expected `num_layers` alone in `model.structure` for a base model whose layers have"
            " shapes or operators that no `transformers` configuration names, got widths, too;"
            " leave them out, or prune further with `callbacks.StructuredPruning`."
        )
    for name in SIZES:
        size, most = getattr(wanted, name), getattr(before, name)
        if size > most:
            raise InputError(
                f"Expected `model.structure.{name}` to be in [1, {most}], what the base model has,"
                f" got {size}; take less, or `weights: fresh`."
            )
    if wanted.hidden_size < before.hidden_size:
        _check_heads_divide(wanted)
        _check_head_size(before, wanted)
        _check_embedding_size(base, before, wanted)


def _check_heads_divide(sizes: _Sizes) -> None:
    hidden_size, num_heads = sizes.hidden_size, sizes.num_heads
    if hidden_size % num_heads:
        fits = num_heads * max(round(hidden_size / num_heads), 1)
        raise InputError(
            "Expected `model.structure.hidden_size` to be a multiple of the number of heads, got"
            f" {hidden_size} for {num_heads} heads; set, for example, `hidden_size: {fits}`, or"
            " another `num_heads`."
        )


def _check_head_size(before: _Sizes, wanted: _Sizes) -> None:
    if wanted.head_size > before.head_size:
        least = -(-wanted.hidden_size // before.head_size)
        raise InputError(
            f"Expected `model.structure.num_heads` to be at least {least} for a hidden size of"
            f" {wanted.hidden_size}, as the base model's heads have {before.head_size} channels,"
            f" got {wanted.num_heads}, heads of {wanted.head_size}; take more heads, or"
            " `weights: fresh`."
        )


def _check_embedding_size(base: ArchitectureRecord, before: _Sizes, wanted: _Sizes) -> None:
    size = base.config.get("embedding_size", before.hidden_size)
    if size == wanted.hidden_size:
        raise InputError(
            f"Expected `model.structure.hidden_size` to differ from {size}, the size of the base"
            " model's embeddings, as its projection of them would have no place, got"
            f" {wanted.hidden_size}; choose another size, or `weights: fresh`."
        )


def _recorded(
    record: ArchitectureRecord, structure: StudentStructure, **details: Any
) -> ArchitectureRecord:
    given = {name: value for name, value in structure.as_plain().items() if value is not None}
    return record.with_operation(OPERATION, **given, **details)
