"""Name what is kept on disk after what it follows from."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

LAYOUT_VERSION = 1
"""Part of each key: raise it when the files of `TeacherCache` change."""


def cache_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of named values that JSON has, in hexadecimal; their order does not matter."""
    named = {"layout": LAYOUT_VERSION, "parts": dict(parts)}
    return hashlib.sha256(json.dumps(named, sort_keys=True, allow_nan=False).encode()).hexdigest()


def hash_of_weights(state_dict: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in hexadecimal; the order does not matter.

    Args:
        state_dict: Tensors by name, on any device; they are read one at a time.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        tensor = state_dict[name].detach()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
