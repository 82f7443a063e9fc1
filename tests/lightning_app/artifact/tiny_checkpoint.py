"""Checkpoints of the tiny model as `glint fit` writes them, of all kinds of structure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import Embedding, Linear

from lightning_app.artifact.formats import FORMATS
from lightning_app.optional_packages import missing
from lightning_app.task import METRICS_BY_PROBLEM, ProblemType, Task
from modules import TextClassifier
from modules.operators import NormConstants, Operators
from modules.quantization import ModuleQuantization, Quantization, Scheme

HIDDEN = 32


def task(
    *labels: str, problem: ProblemType = "single_label_classification", columns: int = 2
) -> Task:
    metrics = METRICS_BY_PROBLEM[problem]
    return Task("own", ("text", "second")[:columns], labels, problem, metrics, metrics)


def built(tiny_model: str, of_task: Task) -> TextClassifier:
    """With weights far enough from each other that texts get answers of their own."""
    model = TextClassifier(tiny_model)
    model.build(of_task)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def saved(model: TextClassifier, file: Path, step: int = 30) -> Path:
    checkpoint: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "global_step": step,
    }
    model.on_save_checkpoint(checkpoint)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, file)
    return file


def prune(model: TextClassifier) -> None:
    model.prune_structure([[0], []], [list(range(20)), list(range(30, 48))])


def keep_one_layer(model: TextClassifier) -> None:
    model.keep_layers([1])


def prune_and_keep(model: TextClassifier) -> None:
    prune(model)
    model.keep_layers([0])


def narrow_all(model: TextClassifier) -> None:
    model.prune_structure([[], []], [list(range(20)), list(range(28, 48))])


def change_operators(model: TextClassifier) -> None:
    constants = tuple(
        tuple(
            NormConstants(tuple(torch.rand(HIDDEN).add(0.5).tolist()), (0.1,) * HIDDEN)
            for _ in range(2)
        )
        for _ in range(2)
    )
    model.set_operators(Operators(relu=1, affine_norm=1, constants=constants))  # type: ignore[arg-type]


def anneal_operators(model: TextClassifier) -> None:
    model.set_operators(Operators(relu=0.5, affine_norm=0.25))


def mask_weights(model: TextClassifier) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("dense.weight"):
                parameter[: len(parameter) // 2] = 0


VARIANTS: dict[str, tuple[Callable[[TextClassifier], None], str]] = {
    "whole": (lambda model: None, "hf_uniform"),
    "masked": (mask_weights, "hf_uniform"),
    "one_layer": (keep_one_layer, "hf_uniform"),
    "narrowed": (narrow_all, "hf_uniform"),
    "pruned": (prune, "free"),
    "pruned_one_layer": (prune_and_keep, "free"),
    "other_operators": (change_operators, "free"),
    "between_operators": (anneal_operators, "free"),
}
"""What is done to the network, and the layout that its record has then."""


FLOAT_FORMATS = tuple(name for name, kind in FORMATS.items() if not kind.is_int8)
INT8_FORMATS = tuple(name for name, kind in FORMATS.items() if kind.is_int8)


def quantize(model: TextClassifier, scheme: Scheme, **how: Any) -> None:
    """The encoder's linear layers by this scheme, and the embeddings."""
    network = model.network
    assert network is not None
    network.eval()
    names = {n: m for n, m in network.named_modules() if isinstance(m, Linear | Embedding)}
    ranges = observed(network, [n for n in names if "encoder" in n]) if scheme == "static" else {}
    linears = {
        name: ModuleQuantization(scheme, **{"activation_range": ranges.get(name), **how})
        for name in names
        if "encoder" in name
    }
    tables = {n: ModuleQuantization("weight_only") for n, m in names.items() if "embeddings" in n}
    model.set_quantization(Quantization({**linears, **tables}))


def observed(network: Any, names: list[str]) -> dict[str, tuple[float, float]]:
    """Ranges of the inputs of these modules on a made-up batch."""
    found: dict[str, tuple[float, float]] = {}

    def observe(name: str) -> Any:
        def hook(module: Any, inputs: Any) -> None:
            found[name] = (float(inputs[0].min()), float(inputs[0].max()))

        return hook

    hooks = [network.get_submodule(n).register_forward_pre_hook(observe(n)) for n in names]
    ids = torch.arange(5, 69).view(4, 16) % network.config.vocab_size
    with torch.no_grad():
        network(input_ids=ids, attention_mask=torch.ones_like(ids))
    for hook in hooks:
        hook.remove()
    return found


def needs(format: str) -> None:
    """Skip a test where the packages of a format are not installed."""
    kind = FORMATS[format]
    if absent := missing(kind.to_write):
        pytest.skip(f"{', '.join(absent)} not installed: pip install 'glint-text[{kind.group}]'")
