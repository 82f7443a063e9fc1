"""What networks look like: from manifests, and from checkpoints with their zeros counted."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_app.errors import InputError
from lightning_app.report.findings import Shape

LEAST_SPARSITY = 0.005
"""Less than this is no pruning: single zeros are there by chance."""


def shape_of_record(name: str, architecture: Mapping[str, Any]) -> Shape | None:
    """The shape that an architecture record says.

    Args:
        name: Of the model.
        architecture: The record, plain.

    Returns:
        None for a family whose layers Glint cannot change, or a record that it cannot read.
    """
    from modules.architecture import ArchitectureRecord
    from modules.families import FAMILIES

    try:
        record = ArchitectureRecord.from_plain(architecture)
        layout = FAMILIES[record.config["model_type"]]
        if record.layers is not None:
            heads = tuple(len(layer.heads) for layer in record.layers)
            return Shape(name, heads, tuple(layer.intermediate_size for layer in record.layers))
        count = int(record.config[layout.num_layers_key])
        sizes = (layout.num_heads_key, layout.intermediate_size_key)
        head_count, width = (int(record.config[key]) for key in sizes)
    except (KeyError, TypeError, InputError):
        return None
    return Shape(name, (head_count,) * count, (width,) * count)


def shape_of_checkpoint(name: str, file: Path) -> Shape | None:
    """The same of a checkpoint, with the zeros of each layer; None where it cannot be opened."""
    from lightning_app.checkpoint import read_glint_checkpoint

    try:
        contents = read_glint_checkpoint(file)
    except InputError:
        return None
    shape = shape_of_record(name, contents["architecture"])
    if shape is None:
        return None
    sparsity = _sparsity(contents["state_dict"], contents["architecture"]["config"]["model_type"])
    is_pruned = max(sparsity, default=0.0) >= LEAST_SPARSITY
    return Shape(name, shape.heads, shape.widths, sparsity if is_pruned else ())


def _sparsity(state: Mapping[str, Any], model_type: str) -> tuple[float, ...]:
    from modules.families import FAMILIES

    pattern = re.compile(rf"\.{re.escape(FAMILIES[model_type].layers)}\.(\d+)\.")
    zeros: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for name, tensor in state.items():
        found = pattern.search(name)
        if found is None or tensor.ndim != 2:
            continue
        layer = int(found[1])
        zeros[layer] = zeros.get(layer, 0) + tensor.numel() - int(tensor.count_nonzero())
        sizes[layer] = sizes.get(layer, 0) + tensor.numel()
    return tuple(zeros[layer] / sizes[layer] for layer in sorted(sizes))
