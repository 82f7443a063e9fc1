"""Observers on a layer alone; in a fit: test_quantization_aware_training.py, on several processes:
tests/strategies."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from callbacks.range_observers import ObserverKind, RangeObservers
from lightning_app.functional.quantization import percentile_range
from modules.fake_quantization import apply_quantization
from modules.quantization import ModuleQuantization, Quantization
from tests.tiny_fit import quiet_trainer

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])


def observed(
    values: Tensor, kind: ObserverKind = "min_max", percentile: float = 90.0, mask: Tensor = MASK
) -> list[float]:
    """The range that an observer makes of one batch."""
    network = nn.ModuleDict({"a": nn.Linear(values.shape[-1], 2)})
    static = Quantization({"a": ModuleQuantization("static")})
    apply_quantization(network, static)
    observers, trainer = RangeObservers(kind, percentile, 0.01), quiet_trainer()
    linear: Any = network["a"]
    observers.attach({"a": linear})
    observers.begin_batch(trainer, {"attention_mask": mask})
    copy.deepcopy(network)["a"](values * 2)  # of another network
    linear(values)
    return list(observers.update(trainer)["a"])


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kind", ["min_max", "percentile"])
def test_padding_does_not_count(kind: ObserverKind, flat: bool) -> None:
    values = torch.randn(3, 4, 16)
    real = values[MASK.bool()]
    expected = percentile_range(real, 90.0 if kind == "percentile" else 100.0)
    values[~MASK.bool()] = 1000.0 * torch.randn(3, 16)
    found = observed(values.flatten(0, 1) if flat else values, kind)
    assert found == expected.tolist()


@pytest.mark.parametrize("shape", [(3, 16), (3, 1, 16)])
def test_the_first_tokens_are_all_real(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape)
    assert observed(values, "percentile") == percentile_range(values, 90.0).tolist()


@pytest.mark.parametrize("kind", ["min_max", "percentile"])
def test_a_range_holds_zero_whether_there_was_padding_or_not(kind: ObserverKind) -> None:
    values = torch.rand(3, 4, 16) + 1
    for mask in (MASK, torch.ones_like(MASK)):
        low, high = observed(values, kind, mask=mask)
        assert low == 0.0
        assert high == percentile_range(values[mask.bool()], 90 if kind != "min_max" else 100)[1]
