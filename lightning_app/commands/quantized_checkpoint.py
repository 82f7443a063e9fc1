"""The size of a network that was quantized without training, and the name of its checkpoint."""

import torch
from torch import nn

from modules.fake_quantization import FakeQuantized, fake_quantized_modules

FILE = "quantized.ckpt"


def weight_bytes(network: nn.Module) -> int:
    """Of all parameters as a runtime keeps them: integers and scales of those that are rounded.

    Up to 4 bits two integers share a byte, else each has its own; a scale has 4 bytes.
    """
    total = sum(p.numel() * p.element_size() for p in network.parameters())
    modules = {id(m.weight): m for m in fake_quantized_modules(network).values()}
    return total + sum(_bytes_of_integers(m) - _bytes(m.weight) for m in modules.values())


def _bytes_of_integers(module: FakeQuantized) -> int:
    how, (rows, columns) = module.quantization, module.weight.shape
    groups = 1 if how.group_size is None else -(-columns // how.group_size)
    row = -(-columns // 2) if how.weight_bits <= 4 else columns
    return int(rows * (row + 4 * groups))


def _bytes(weight: torch.Tensor) -> int:
    return weight.numel() * weight.element_size()
