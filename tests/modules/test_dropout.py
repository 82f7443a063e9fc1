import pytest
import torch
from torch import nn

from modules.dropout import FastDropout, dropped_fraction, keep_mask, use_fast_dropout


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.5, 0.9])
def test_drops_at_the_rate_asked_for(probability: float) -> None:
    torch.manual_seed(0)
    num_draws = 1_000_000
    dropped = 1 - keep_mask(torch.Size((num_draws,)), probability).mean().item()
    standard_error = (probability * (1 - probability) / num_draws) ** 0.5
    assert dropped == pytest.approx(probability, abs=4 * standard_error)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_extremes_are_exact(probability: float) -> None:
    assert keep_mask(torch.Size((10_001,)), probability).unique().tolist() == [1 - probability]


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    mask = keep_mask(torch.Size((1_000_000,)), 0.5) * 2 - 1
    for lag in (1, 2, 3, 4, 8):  # four elements share one draw
        # The standard error of the correlation is 1e-3.
        assert (mask[lag:] * mask[:-lag]).mean().abs().item() < 4e-3


def test_fraction_is_a_multiple_of_one_65536th() -> None:
    assert dropped_fraction(0.1) == 6554 / 65536
    assert dropped_fraction(0.5) == 0.5


def test_mask_repeats_with_the_generator_state() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, second = (keep_mask(torch.Size((7, 3)), 0.5) for _ in range(2))
    torch.set_rng_state(state)
    assert torch.equal(keep_mask(torch.Size((7, 3)), 0.5), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_kept_elements_and_their_gradients_are_scaled(dtype: torch.dtype) -> None:
    inputs = torch.full((50, 3), 2.0, dtype=dtype, requires_grad=True)
    out = FastDropout(0.5)(inputs)
    out.sum().backward()
    assert inputs.grad is not None
    assert out.dtype == dtype
    assert sorted(out.unique().tolist()) == [0.0, 4.0]
    assert torch.equal(inputs.grad * 2, out)


def test_passes_through_when_evaluating_or_not_dropping() -> None:
    inputs = torch.randn(4, 5)
    assert FastDropout(0.5).eval()(inputs) is inputs
    assert torch.equal(FastDropout(0.0)(inputs), inputs)
    assert FastDropout(1.0)(inputs).count_nonzero() == 0


def test_replaces_each_dropout_once_and_no_name_changes() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.Sequential(nn.Dropout(0.2)))
    model[2].eval()
    names = list(model.state_dict())
    assert use_fast_dropout(model) == 2
    assert use_fast_dropout(model) == 0
    assert list(model.state_dict()) == names
    assert isinstance(model[1], FastDropout)
    assert model[1].p == 0.3
    assert not model[2][0].training
