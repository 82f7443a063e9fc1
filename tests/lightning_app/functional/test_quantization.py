import pytest
import torch
from torch import Tensor
from torchao.quantization.granularity import PerTensor
from torchao.quantization.qat import IntxFakeQuantizeConfig, IntxFakeQuantizer
from torchao.quantization.quant_primitives import (
    MappingType,
    _fake_quantize_affine,
    choose_qparams_affine_with_min_max,
)
from torchao.quantization.utils import get_block_size

from lightning_app.functional.quantization import (
    asymmetric_parameters,
    dequantize_weight,
    fake_quantize_tensor,
    fake_quantize_tokens,
    fake_quantize_weight,
    integer_range,
    moving_average,
    num_outside,
    outermost,
    percentile_range,
    quantize_weight,
    range_within,
)

DTYPES = {8: torch.int8, 7: torch.int7, 4: torch.int4}


def gradients(function: object, values: Tensor) -> tuple[Tensor, Tensor]:
    """What comes out, and the gradient for a random one coming in."""
    leaf = values.clone().requires_grad_()
    out: Tensor = function(leaf)  # type: ignore[operator]
    incoming = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return out.detach(), torch.autograd.grad(out, leaf, incoming)[0]


def largest_of(weight: Tensor, group_size: int | None) -> Tensor:
    """Where the largest magnitude of a row or group is."""
    groups = weight.abs().view(len(weight), -1, group_size or weight.shape[1])
    return ((groups == groups.amax(-1, keepdim=True)) & (groups > 0)).view_as(weight)


def test_integers_of_so_many_bits() -> None:
    assert [integer_range(bits) for bits in (2, 4, 8)] == [(-2, 1), (-8, 7), (-128, 127)]
    for bits in (1, 9):
        with pytest.raises(ValueError, match=f"`bits` to be in \\[2, 8\\], got {bits}"):
            integer_range(bits)


def test_weights_by_hand() -> None:
    weight = torch.tensor([[127.5, 1.2, -127.5], [0.0, 0.0, 0.0]], requires_grad=True)
    fake = fake_quantize_weight(weight)  # the first row's scale is 1
    assert fake.tolist() == [[127.0, 1.0, -127.0], [0.0, 0.0, 0.0]]
    fake.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_groups_of_weights_by_hand_the_last_one_smaller() -> None:
    weight = torch.tensor([[2.0, 1.0, 8.0, 3.0, 5.0]])
    fake = fake_quantize_weight(weight, bits=3, group_size=2)  # integers from -4 to 3
    # Scales are the largest by 3.5: 4/7, 16/7 and 10/7.
    expected = torch.tensor([[3 * 4, 2 * 4, 3 * 16, 1 * 16, 3 * 10]]) / 7
    torch.testing.assert_close(fake, expected)
    integers, scales = quantize_weight(weight, bits=3, group_size=2)
    assert integers.tolist() == [[3, 2, 3, 1, 3]]
    torch.testing.assert_close(scales, torch.tensor([[4.0, 16.0, 10.0]]) / 7)


def test_a_token_by_hand() -> None:
    hidden = torch.tensor([[0.0, 1.004, 2.55], [-100.0, 50.4, 155.0]])
    expected = torch.tensor([[0.0, 1.0, 2.55], [-100.0, 50.0, 155.0]])  # steps of 0.01 and of 1
    torch.testing.assert_close(fake_quantize_tokens(hidden), expected)


def test_a_range_is_widened_to_hold_zero() -> None:
    scales, zero_points = asymmetric_parameters(
        torch.tensor([-1.0, 2.0, -3.0, 0.0]), torch.tensor([1.55, 2.55, -2.0, 0.0])
    )
    torch.testing.assert_close(scales[:3], torch.tensor([0.01, 0.01, 3 / 255]))
    assert scales[3] > 0  # of nothing but zeros
    assert zero_points.tolist() == [-28, -128, 127, -128]


def test_a_fixed_grid_by_hand() -> None:
    hidden = torch.tensor([-1.0, 0.3, 100.0, 200.0], requires_grad=True)
    fake = fake_quantize_tensor(hidden, scale=0.5, zero_point=-128)  # from 0 to 127.5
    assert fake.tolist() == [0.0, 0.5, 100.0, 127.5]
    fake.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("bits", [8, 7, 4, 2])
@pytest.mark.parametrize("group_size", [None, 16])
def test_the_last_bit_of_a_weight_does_not_decide_for_a_whole_step(
    bits: int, group_size: int | None
) -> None:
    """Also of the largest of a row: its scale puts it in the middle between two integers."""
    weight = torch.randn(96, 64)
    found, gradient = gradients(lambda w: fake_quantize_weight(w, bits, group_size), weight)
    largest = largest_of(weight, group_size)
    step = weight.abs()[largest] / ((2**bits - 1) / 2)
    torch.testing.assert_close(found[largest].abs(), step * (2 ** (bits - 1) - 1))
    for toward in (-1.0, 1.0):
        nudged = torch.nextafter(weight, toward * weight.sign() * torch.inf)
        other, of_other = gradients(lambda w: fake_quantize_weight(w, bits, group_size), nudged)
        torch.testing.assert_close(other, found, rtol=1e-6, atol=0.0)
        assert torch.equal(of_other, gradient)


@pytest.mark.parametrize("bits", DTYPES)
@pytest.mark.parametrize("group_size", [None, 16])
def test_weights_are_torchaos_bit_for_bit_but_for_the_largest(
    bits: int, group_size: int | None
) -> None:
    grain = {"granularity": "per_channel"} if group_size is None else {"group_size": group_size}
    torchaos = IntxFakeQuantizer(IntxFakeQuantizeConfig(DTYPES[bits], **grain))  # type: ignore[arg-type]
    weight = torch.randn(48, 64) * torch.logspace(-4, 2, 48)[:, None]
    weight[7], weight[8, :40] = 0.0, 0.0
    expected, by_torchao = gradients(torchaos, weight)
    found, gradient = gradients(lambda w: fake_quantize_weight(w, bits, group_size), weight)
    largest = largest_of(weight, group_size)
    assert torch.equal(found[~largest], expected[~largest])
    torch.testing.assert_close(gradient[~largest], by_torchao[~largest])  # by scale and 1 / scale
    assert (by_torchao[largest] == 0).any()
    # Half of the negative ones are a step further there.
    assert torch.equal(found[largest & (weight > 0)], expected[largest & (weight > 0)])
    assert not torch.equal(found, expected)


def test_tokens_are_torchaos_bit_for_bit() -> None:
    config = IntxFakeQuantizeConfig(torch.int8, "per_token", is_symmetric=False)
    hidden = torch.randn(8, 50, 64) * torch.logspace(-4, 3, 50)[:, None]
    hidden[0], hidden[1] = 0.0, hidden[1].abs()
    expected, by_torchao = gradients(IntxFakeQuantizer(config), hidden)
    found, gradient = gradients(fake_quantize_tokens, hidden)
    assert torch.equal(found, expected)
    torch.testing.assert_close(gradient, by_torchao)


@pytest.mark.parametrize("bounds", [(-1.7, 2.9), (0.3, 1.1), (-2.0, -0.5)])
def test_a_fixed_range_is_torchaos_bit_for_bit(bounds: tuple[float, float]) -> None:
    low, high = torch.tensor(bounds)
    hidden = torch.randn(4, 20, 64) * 2
    block = get_block_size(hidden.shape, PerTensor())
    parameters = choose_qparams_affine_with_min_max(
        low, high, MappingType.ASYMMETRIC, block, torch.int8, zero_point_dtype=torch.int32
    )
    expected, by_torchao = gradients(
        lambda x: _fake_quantize_affine(x, block, *parameters, torch.int8), hidden
    )
    scale, zero_point = asymmetric_parameters(low, high)
    assert (float(scale), int(zero_point)) == tuple(p.item() for p in parameters)
    found, gradient = gradients(
        lambda x: fake_quantize_tensor(x, float(scale), int(zero_point)), hidden
    )
    assert torch.equal(found, expected)
    torch.testing.assert_close(gradient, by_torchao)
    assert torch.equal(gradient == 0, by_torchao == 0)


@pytest.mark.parametrize(("bits", "group_size"), [(8, None), (7, None), (4, 32), (4, 27)])
def test_integers_and_scales_are_what_is_simulated(bits: int, group_size: int | None) -> None:
    weight = torch.randn(40, 96)
    integers, scales = quantize_weight(weight, bits, group_size)
    assert integers.dtype == torch.int8
    largest = integer_range(bits)[1]
    assert (int(integers.min()), int(integers.max())) == (-largest, largest)
    assert scales.shape == (40, 1 if group_size is None else -(-96 // group_size))
    simulated = fake_quantize_weight(weight, bits, group_size)
    assert torch.equal(dequantize_weight(integers, scales, group_size), simulated)


def test_bfloat16_is_rounded_with_scales_of_float32() -> None:
    hidden = torch.randn(6, 64).bfloat16()
    fake = fake_quantize_tokens(hidden)
    assert fake.dtype == torch.bfloat16
    assert torch.equal(fake, fake_quantize_tokens(hidden.float()).bfloat16())
    weight = fake_quantize_weight(hidden, bits=4)
    assert torch.equal(weight, fake_quantize_weight(hidden.float(), bits=4).bfloat16())


def test_zeros_stay_zero() -> None:
    weight = torch.randn(64, 64) * (torch.rand(64, 64) > 0.7)
    for bits, group_size in ((8, None), (4, 16), (2, 10)):
        fake = fake_quantize_weight(weight, bits, group_size)
        assert torch.count_nonzero(fake[weight == 0]) == 0


def test_a_percentile_leaves_out_as_many_at_each_end() -> None:
    values = torch.arange(100.0)[torch.randperm(100)].view(4, 25)
    assert percentile_range(values, 90).tolist() == [5.0, 94.0]
    assert percentile_range(values, 100).tolist() == [0.0, 99.0]
    assert percentile_range(values, 99).tolist() == [0.0, 99.0]  # half a value at each end
    many = torch.randn(1001)
    assert torch.equal(percentile_range(many, 80), many.quantile(torch.tensor([0.1, 0.9])))
    with pytest.raises(ValueError, match="`percentile` to be in \\(0, 100\\], got 0"):
        percentile_range(values, 0)


def test_a_percentile_of_parts_is_that_of_the_whole() -> None:
    whole = torch.randn(1000)
    outside = num_outside(1000, 90)
    assert outside == 50
    parts = (whole[:970], whole[970:])  # the smaller one is not as large as what is left out
    ends = torch.stack([outermost(part, outside + 1) for part in parts])
    assert ends[1, 0, -1] == torch.inf
    assert torch.equal(range_within(ends, outside), percentile_range(whole, 90))
    assert torch.equal(range_within(ends, 0), torch.stack(whole.aminmax()))


def test_the_average_is_the_mean_at_first_and_then_moves_on() -> None:
    average, seen = torch.tensor(float("nan")), []
    for count, new in enumerate((4.0, 8.0, 0.0, 8.0, 1.0), start=1):
        average = moving_average(average, torch.tensor(new), 0.25, count)
        seen.append(float(average))
    # 1, 1/2, 1/3, and from the fourth on a quarter.
    assert seen == pytest.approx([4.0, 6.0, 4.0, 5.0, 4.0])


def test_a_group_has_columns() -> None:
    with pytest.raises(ValueError, match="`group_size` to be at least 1, got 0"):
        fake_quantize_weight(torch.ones(2, 2), group_size=0)
