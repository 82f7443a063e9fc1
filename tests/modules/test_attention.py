import math

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    RobertaConfig,
)

from modules.attention import attention_forward, dropout_attention, register_attention
from modules.dropout import keep_mask

SMALL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
CONFIGS = {
    "bert": BertConfig(**SMALL),
    "roberta": RobertaConfig(**SMALL),
    "electra": ElectraConfig(**SMALL, embedding_size=16),
    "albert": AlbertConfig(**SMALL, embedding_size=16),
    "distilbert": DistilBertConfig(
        vocab_size=60, dim=16, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=64
    ),
}


def reference(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, keep: Tensor | None, p: float
) -> Tensor:
    """The formula of the paper, left to autograd: ``[batch, seq, heads, head_dim]``."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + mask
    probabilities = scores.softmax(-1)
    if keep is not None:
        probabilities = probabilities * keep / p
    return (probabilities @ value).transpose(1, 2)


def random_inputs(seq: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seq)
    shape = (2, seq, 3, 4)  # [batch, seq, heads, head_dim], seen transposed as transformers does
    return [
        torch.randn(shape, dtype=dtype, generator=generator).transpose(1, 2).requires_grad_()
        for _ in range(3)
    ]


def padding_mask(seq: int, dtype: torch.dtype = torch.float64) -> Tensor:
    mask = torch.zeros(2, 1, seq, seq, dtype=dtype)
    mask[1, :, :, -2:] = torch.finfo(dtype).min
    return mask


def test_hand_computed_two_tokens() -> None:
    query = torch.zeros(1, 1, 2, 1)  # all scores equal: each probability is one half
    value = torch.tensor([[[[2.0], [6.0]]]])
    keep = torch.tensor([[[[1.0, 1.0], [1.0, 0.0]]]])
    out = dropout_attention(query, query, value, None, keep, 1.0, 0.5)
    assert out.flatten().tolist() == [8.0, 2.0]  # (2 + 6) / 2 / 0.5 and 2 / 2 / 0.5


@pytest.mark.parametrize("seq", [5, 20])  # both softmaxes
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("drops", [False, True])
def test_values_and_gradients_are_those_of_the_formula(seq: int, masked: bool, drops: bool) -> None:
    inputs = random_inputs(seq)
    mask = padding_mask(seq) if masked else None
    keep = (torch.rand(2, 3, seq, seq) < 0.7).double() if drops else None
    keep_probability = 0.7 if drops else 1.0
    out = dropout_attention(*inputs, mask, keep, 0.5, keep_probability)
    expected = reference(*inputs, mask, keep, keep_probability)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)

    weights = torch.randn_like(out)
    got = torch.autograd.grad((out * weights).sum(), inputs)
    wanted = torch.autograd.grad((expected * weights).sum(), inputs)
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


def test_gradcheck() -> None:
    keep = (torch.rand(2, 3, 5, 5) < 0.7).double()
    mask = padding_mask(5)
    assert torch.autograd.gradcheck(
        lambda q, k, v: dropout_attention(q, k, v, mask, keep, 0.5, 0.7), random_inputs(5)
    )


def test_drops_with_the_mask_of_the_global_generator() -> None:
    query, key, value = random_inputs(5, torch.float32)
    torch.manual_seed(3)
    out, _ = attention_forward(nn.Module(), query, key, value, None, dropout=0.25)
    torch.manual_seed(3)
    again, _ = attention_forward(nn.Module(), query, key, value, None, dropout=0.25)
    other, _ = attention_forward(nn.Module(), query, key, value, None, dropout=0.25)
    torch.manual_seed(3)
    keep = keep_mask(torch.Size((2, 3, 5, 5)), 0.25)
    assert torch.equal(out, again)
    assert not torch.equal(out, other)
    torch.testing.assert_close(out, reference(query, key, value, None, keep, 0.75))


def test_expectation_is_that_of_no_dropout() -> None:
    torch.manual_seed(0)
    ones = torch.ones(64, 4, 32, 8)  # values of one: each output is its row's kept share / 0.9
    out, _ = attention_forward(nn.Module(), ones, ones, ones, None, dropout=0.1)
    rows = out[..., 0]
    # 8192 rows of 32 draws: the mean's standard error is sqrt(0.1 / 0.9 / 262144) = 6.5e-4.
    assert rows.mean().item() == pytest.approx(1.0, abs=4 * 6.5e-4)
    assert rows.var().item() == pytest.approx(0.1 / 0.9 / 32, rel=0.1)


def test_boolean_mask_keeps_where_true() -> None:
    query, key, value = random_inputs(5, torch.float32)
    kept = padding_mask(5) == 0
    out, _ = attention_forward(nn.Module(), query, key, value, kept)
    torch.testing.assert_close(
        out, reference(query, key, value, padding_mask(5, torch.float32), None, 1.0)
    )


def test_autocast_is_computed_in_float32() -> None:
    inputs = random_inputs(5, torch.bfloat16)
    wide = [tensor.detach().float().requires_grad_() for tensor in inputs]
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = attention_forward(nn.Module(), *inputs, None)
    out.sum().backward()
    expected = reference(*wide, None, None, 1.0)
    expected.sum().backward()
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, expected)
    for narrow, reference_input in zip(inputs, wide, strict=True):
        assert narrow.grad is not None
        assert reference_input.grad is not None
        torch.testing.assert_close(narrow.grad, reference_input.grad.bfloat16())


def test_leaves_causal_attention_to_sdpa() -> None:
    module = nn.Module()
    module.is_causal = True  # type: ignore[assignment]
    query, key, value = random_inputs(5, torch.float32)
    out, _ = attention_forward(module, query, key, value, None)
    torch.testing.assert_close(out[:, 0], value[:, :, 0])  # the first token sees itself only


@pytest.mark.parametrize("name", CONFIGS)
def test_models_compute_what_they_compute_with_sdpa(name: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(CONFIGS[name]).eval()
    ids = torch.randint(5, 60, (3, 9))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    for mask_given in (mask, torch.ones_like(ids)):
        model.set_attn_implementation("sdpa")
        expected = model(ids, attention_mask=mask_given).logits
        model.set_attn_implementation(register_attention())
        logits = model(ids, attention_mask=mask_given).logits
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
        with torch.no_grad():
            torch.testing.assert_close(model(ids, attention_mask=mask_given).logits, logits)


def test_leaves_models_with_their_own_attention_as_they_are() -> None:
    model = AutoModelForSequenceClassification.from_config(MPNetConfig(**SMALL)).eval()
    ids = torch.randint(5, 60, (3, 9))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    expected = model(ids, attention_mask=mask).logits
    model.config._attn_implementation = register_attention()
    assert torch.equal(model(ids, attention_mask=mask).logits, expected)


@pytest.mark.parametrize("name", CONFIGS)
def test_models_train_with_dropout(name: str) -> None:
    model = AutoModelForSequenceClassification.from_config(
        CONFIGS[name], attn_implementation=register_attention()
    ).train()
    ids = torch.randint(5, 60, (3, 9))
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(model(ids, labels=torch.tensor([0, 1, 0])).loss)
    assert losses[0].item() == losses[1].item() != losses[2].item()
    losses[0].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
