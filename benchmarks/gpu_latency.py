"""Answers to one text at a time, in turns: eager as `transformers` has it, and Glint's."""

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from modules.acceleration import accelerate
from modules.structure import layer_shapes, remove_heads_and_neurons


def latencies(
    folder: str, device: str, compile: bool, length: int, rounds: int
) -> dict[str, float]:
    """Median milliseconds of each way; float16 on a GPU, float32 on a CPU.

    Args:
        folder: Of a network.
        device: ``cuda`` or ``cpu``.
        compile: Also of compiled networks.
        length: Tokens of the text.
        rounds: Answers of each, in turns.
    """
    dtype = torch.float16 if device == "cuda" else torch.float32
    eager = AutoModelForSequenceClassification.from_pretrained(folder).to(device, dtype).eval()
    ids = torch.randint(5, 1000, (1, length), device=device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found: dict[str, list[float]] = {}
    ways = _ways(eager, compile)
    with torch.inference_mode():
        for network in ways.values():
            for _ in range(10):
                network(**inputs)
        for _ in range(rounds):
            for name, network in ways.items():
                found.setdefault(name, []).append(_seconds(network, inputs, device))
    return {name: 1000 * statistics.median(times) for name, times in found.items()}


def _ways(eager: Any, compile: bool) -> dict[str, Callable[..., Any]]:
    glint, half = copy.deepcopy(eager), copy.deepcopy(eager)
    shapes = layer_shapes(half)
    heads = [list(range(len(shape.heads) // 2)) for shape in shapes]
    neurons = [list(range(shape.intermediate_size // 2)) for shape in shapes]
    remove_heads_and_neurons(half, heads, neurons)
    ways = {"eager": eager, "Glint": glint, "Glint, half of heads and neurons": half}
    for network in (glint, half):
        accelerate(network)
        network.eval()
    if compile:
        compiled = {f"{name}, compiled": copy.deepcopy(net) for name, net in ways.items()}
        for network in compiled.values():
            network.compile(mode="reduce-overhead")
        ways |= compiled
    return ways


def _seconds(network: Callable[..., Any], inputs: dict[str, Tensor], device: str) -> float:
    start = time.perf_counter()
    network(**inputs)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
