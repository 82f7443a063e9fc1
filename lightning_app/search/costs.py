"""What a trial's model costs where it will run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_app.artifact.formats import format_named
from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.search.specification import Specification
from lightning_app.structure_search import LatencyTable
from lightning_app.structure_search.latency_probes import MAX_DEPTH
from modules.architecture import ArchitectureRecord, LayerShape
from modules.families import layout_for

_MB = 10**6
_FLOAT = 4  # bytes


def costs(
    checkpoint: Path, specification: Specification, say: Callable[[str], None] = print
) -> dict[str, float]:
    """By objective, all but the score.

    The latency is that of `lightning_app.structure_search.LatencyTable`, measured on this machine
    once for all trials of the same hidden size; the size is that of the weights in the runtime's
    format.

    Args:
        checkpoint: Of the trial.
        specification: Says which are asked for, and of which call.
        say: Is told what is measured.

    Raises:
        InputError: If the latency of the model's family cannot be measured.
    """
    contents = read_glint_checkpoint(checkpoint)
    parameters = sum(tensor.numel() for tensor in contents["state_dict"].values())
    bytes_each = 1 if format_named(specification.runtime).is_int8 else _FLOAT
    found = {"parameters": float(parameters), "size_mb": parameters * bytes_each / _MB}
    if "latency_ms" in specification.objectives:
        record = ArchitectureRecord.from_plain(contents["architecture"])
        found["latency_ms"] = _latency(record, specification, say)
    return {name: found[name] for name in specification.objectives if name != "score"}


def _latency(
    record: ArchitectureRecord, specification: Specification, say: Callable[[str], None]
) -> float:
    table = LatencyTable.open_or_measure(
        _unshrunk(record, specification),
        specification.runtime,
        specification.threads,
        specification.batch_size,
        say=say,
        longest=specification.length,
    )
    return table.predict(_shapes(record), specification.length)


def _unshrunk(record: ArchitectureRecord, specification: Specification) -> ArchitectureRecord:
    """The record that one table is measured for: with all layers, and as wide as they get."""
    from lightning_app.pretrained import EMBEDDED, is_checkpoint, load_config

    layout = layout_for(record.config["model_type"])
    base: Any = (specification.config.get("model") or {}).get("model_name_or_path", EMBEDDED)
    widest = record.config[layout.intermediate_size_key]
    if not is_checkpoint(str(base)):
        widest = max(widest, getattr(load_config(str(base)), layout.intermediate_size_key, 0))
    sizes = {layout.num_layers_key: MAX_DEPTH, layout.intermediate_size_key: widest}
    return replace(
        record, config={**record.config, **sizes}, layers=None, operators=None, quantization=None
    )


def _shapes(record: ArchitectureRecord) -> tuple[LayerShape, ...]:
    if record.layers is not None:
        return record.layers
    layout = layout_for(record.config["model_type"])
    heads = tuple(range(record.config[layout.num_heads_key]))
    shape = LayerShape(heads, record.config[layout.intermediate_size_key])
    return (shape,) * int(record.config[layout.num_layers_key])
