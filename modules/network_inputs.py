"""What of a batch a network reads."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

NETWORK_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def network_inputs(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """The part of a batch that the network reads."""
    return {name: batch[name] for name in NETWORK_INPUTS if name in batch}
