"""What of a batch a network reads."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lightning_app.xla import off_xla

NETWORK_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def network_inputs(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """The part of a batch that the network reads."""
    return {name: batch[name] for name in NETWORK_INPUTS if name in batch}


def real_rows(batch: Mapping[str, Any], *of_rows: Tensor) -> tuple[Tensor, ...]:
    """These tensors ``[batch, ...]`` without the rows that only fill a batch up."""
    of_rows = tuple(off_xla(tensor) for tensor in of_rows)
    if "row_weight" not in batch:
        return of_rows
    is_real = off_xla(batch["row_weight"]) > 0
    return tuple(tensor[is_real] for tensor in of_rows)
