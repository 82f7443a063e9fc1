import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from lightning_app.functional.distillation import (
    agreement,
    attention_map_losses,
    attention_probabilities,
    attention_scores,
    hidden_state_losses,
    mean_kl,
    relation_losses,
    soft_multi_label_losses,
    soft_regression_losses,
    soft_target_losses,
)

Losses = Callable[[Tensor, Tensor], Tensor]
TokenLosses = Callable[[Tensor, Tensor, Tensor], Tensor]


def score_map_losses(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    maps = [attention_scores(vectors, vectors.flip(-1), 2) for vectors in (student, teacher)]
    return attention_map_losses(maps[0], maps[1], mask)


def probability_map_losses(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    maps = [attention_probabilities(v, v.flip(-1), mask, 2) for v in (student, teacher)]
    return attention_map_losses(maps[0], maps[1], mask)


def two_head_relation_losses(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    return relation_losses(student, teacher, mask, num_relation_heads=2)


LOGIT_LOSSES: dict[str, Losses] = {
    "soft_target": lambda s, t: soft_target_losses(s, t, temperature=3.0),
    "soft_multi_label": lambda s, t: soft_multi_label_losses(s, t, temperature=3.0),
    "soft_regression": soft_regression_losses,
}
TOKEN_LOSSES: dict[str, TokenLosses] = {
    "hidden_state": hidden_state_losses,
    "score_map": score_map_losses,
    "probability_map": probability_map_losses,
    "relation": two_head_relation_losses,
}
# Rows of 5, 3 and 1 real tokens.
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
ALL_LOSSES: dict[str, tuple[tuple[int, ...], Losses]] = {
    **{name: ((3, 6), losses) for name, losses in LOGIT_LOSSES.items()},
    **{
        name: ((3, 5, 6), lambda s, t, losses=losses: losses(s, t, MASK))
        for name, losses in TOKEN_LOSSES.items()
    },
}
every_loss = pytest.mark.parametrize(("shape", "losses"), ALL_LOSSES.values(), ids=ALL_LOSSES)
every_token_loss = pytest.mark.parametrize("losses", TOKEN_LOSSES.values(), ids=TOKEN_LOSSES)


@every_loss
def test_one_loss_a_row_above_zero_and_zero_for_the_teacher_itself(
    shape: tuple[int, ...], losses: Losses
) -> None:
    # Tokens that are alone in their row relate to nothing: only two rows must differ.
    student, teacher = torch.randn(shape), torch.randn(shape)
    different = losses(student, teacher)
    assert different.shape == (3,)
    assert (different[:2] > 1e-3).all()
    assert losses(teacher, teacher).tolist() == pytest.approx([0, 0, 0], abs=1e-7)


@every_loss
def test_gradient_is_the_finite_difference(shape: tuple[int, ...], losses: Losses) -> None:
    student = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(shape, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: losses(s, teacher), student)


@every_loss
def test_the_teacher_is_a_constant(shape: tuple[int, ...], losses: Losses) -> None:
    student = torch.randn(shape, requires_grad=True)
    teacher = torch.randn(shape, requires_grad=True)
    losses(student, teacher).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad[0].abs().sum() > 0


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened_before_any_arithmetic(
    shape: tuple[int, ...], losses: Losses, dtype: torch.dtype
) -> None:
    student, teacher = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
    ours = losses(student, teacher)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, losses(student.float(), teacher.float()))


@every_loss
def test_autocast_does_not_round_a_loss(shape: tuple[int, ...], losses: Losses) -> None:
    student, teacher = 4 * torch.randn(shape), 4 * torch.randn(shape)
    expected = losses(student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(losses(student, teacher), expected)


@every_token_loss
def test_neither_padding_nor_the_batch_changes_a_row(losses: TokenLosses) -> None:
    student, teacher = torch.randn(3, 5, 6), torch.randn(3, 5, 6)
    together = losses(student, teacher, MASK)
    for row, length in enumerate((5, 3, 1)):
        row_alone = [vectors[row : row + 1, :length] for vectors in (student, teacher)]
        alone = losses(row_alone[0], row_alone[1], torch.ones(1, length))
        assert together[row].item() == pytest.approx(alone.item(), rel=1e-5, abs=1e-7)


@every_token_loss
def test_padding_gets_no_gradient_and_may_hold_anything(losses: TokenLosses) -> None:
    student, teacher = torch.randn(3, 5, 6), torch.randn(3, 5, 6)
    other = torch.where(MASK.bool()[..., None], student, 1000.0).requires_grad_()
    ours = losses(other, teacher, MASK.bool())
    expected = losses(student, teacher, MASK)
    assert ours.tolist() == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-7)
    (gradient,) = torch.autograd.grad(ours.sum(), other)
    assert gradient[~MASK.bool()].abs().max() == 0


@every_token_loss
def test_a_row_without_real_tokens_loses_nothing(losses: TokenLosses) -> None:
    student = torch.randn(2, 4, 6, requires_grad=True)
    mask = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]])
    ours = losses(student, torch.randn(2, 4, 6), mask)
    (gradient,) = torch.autograd.grad(ours.sum(), student)
    assert ours[0] == 0
    assert gradient[0].abs().max() == 0
    assert gradient.isfinite().all()


@every_token_loss
def test_the_mask_has_to_fit(losses: TokenLosses) -> None:
    vectors = torch.randn(3, 5, 6)
    with pytest.raises(ValueError, match=r"shape \(3, 5\) of batch and seq, got \(3, 1, 1, 5\)"):
        losses(vectors, vectors, MASK[:, None, None, :])


def test_soft_targets_by_hand() -> None:
    # At T = 2 the student says (1/4, 3/4) and the teacher (3/4, 1/4):
    # KL = 3/4 log 3 - 1/4 log 3 = log(3) / 2, times 4.
    three = 2 * math.log(3)
    student, teacher = torch.tensor([[0, three], [5, 5]]), torch.tensor([[three, 0], [-1, -1]])
    assert soft_target_losses(student, teacher, 2.0).tolist() == pytest.approx([three, 0])


def test_soft_targets_have_the_teachers_direction() -> None:
    # KL(teacher || student), teacher (1/2, 1/2), student (3/4, 1/4); the other way round is 0.1308.
    student, teacher = torch.tensor([[math.log(3), 0.0]]), torch.zeros(1, 2)
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert soft_target_losses(student, teacher).item() == pytest.approx(expected)
    assert expected == pytest.approx(0.1438, abs=1e-4)


def test_soft_target_gradient_is_that_of_the_paper() -> None:
    # Section 2.1: dC/dz = (q - p) / T for cross-entropy, here times T**2.
    student = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(4, 5, dtype=torch.float64)
    (ours,) = torch.autograd.grad(soft_target_losses(student, teacher, 2.5).sum(), student)
    expected = 2.5 * ((student / 2.5).softmax(-1) - (teacher / 2.5).softmax(-1))
    assert ours.flatten().tolist() == pytest.approx(expected.flatten().tolist())


def test_soft_target_gradient_by_central_differences() -> None:
    student, teacher = torch.randn(1, 4).double().requires_grad_(), torch.randn(1, 4).double()
    (ours,) = torch.autograd.grad(soft_target_losses(student, teacher, 2.0).sum(), student)
    nudges = 1e-6 * torch.eye(4).double()
    above, below = (
        soft_target_losses(student.detach() + n, teacher.expand(4, 4), 2.0)
        for n in (nudges, -nudges)
    )
    assert ours[0].tolist() == pytest.approx(((above - below) / 2e-6).tolist(), rel=1e-6)


def test_at_high_temperature_soft_targets_match_logits() -> None:
    # Section 2.1: the gradient tends to (z - v) / N of centred logits, that of the sum of
    # (z - v)**2 / 2N.
    student, teacher = torch.randn(3, 4).double(), torch.randn(3, 4).double()
    difference = student - teacher
    centred = difference - difference.mean(dim=-1, keepdim=True)
    expected = centred.square().sum(dim=-1) / (2 * 4)
    ours = soft_target_losses(student, teacher, 1e4)
    assert ours.tolist() == pytest.approx(expected.tolist(), rel=1e-3)


def test_multi_label_by_hand() -> None:
    # The first label of the first row: teacher 3/4, student 1/2, also at T = 2 and times 4.
    student, teacher = torch.zeros(2, 2), torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    expected = pytest.approx([divergence / 2, 0])
    assert soft_multi_label_losses(student, teacher).tolist() == expected
    doubled = soft_multi_label_losses(2 * student, 2 * teacher, 2.0) / 4
    assert doubled.tolist() == expected


def test_one_of_the_multi_labels_is_two_classes() -> None:
    student, teacher = torch.randn(4, 1), torch.randn(4, 1)
    as_classes = [torch.cat((logits, torch.zeros(4, 1)), dim=1) for logits in (student, teacher)]
    expected = soft_target_losses(as_classes[0], as_classes[1], 1.5)
    ours = soft_multi_label_losses(student, teacher, 1.5)
    assert ours.tolist() == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-7)


def test_extreme_logits_stay_finite() -> None:
    student, teacher = torch.tensor([[-200.0, 200.0]]), torch.tensor([[200.0, -200.0]])
    assert soft_target_losses(student, teacher).item() == pytest.approx(400)
    assert soft_multi_label_losses(student, teacher).item() == pytest.approx(200)


def test_regression_by_hand() -> None:
    student, teacher = torch.tensor([[1.0], [2.5]]), torch.tensor([[3.0], [2.0]])
    assert soft_regression_losses(student, teacher).tolist() == [4, 0.25]
    targets = torch.tensor([[1.0, 2.5]]), torch.tensor([[3.0, 2.0]])
    assert soft_regression_losses(*targets).tolist() == [2.125]


@pytest.mark.parametrize("losses", LOGIT_LOSSES.values(), ids=LOGIT_LOSSES)
def test_logits_have_to_have_one_shape(losses: Losses) -> None:
    with pytest.raises(ValueError, match=r"\[batch, num_labels\], got \(4, 2\) and \(4, 3\)"):
        losses(torch.zeros(4, 2), torch.zeros(4, 3))
    # One number of a whole batch would pass for a loss of each row.
    with pytest.raises(ValueError, match=r"got \(4,\) and \(4,\); .* one target is \[batch, 1\]"):
        losses(torch.zeros(4), torch.zeros(4))


@pytest.mark.parametrize("losses", [soft_target_losses, soft_multi_label_losses])
@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_temperature_is_above_zero(
    losses: Callable[[Tensor, Tensor, float], Tensor], wrong: float
) -> None:
    with pytest.raises(ValueError, match=f"`temperature` to be above 0 and finite, got {wrong}"):
        losses(torch.zeros(1, 2), torch.zeros(1, 2), wrong)


def test_hidden_states_by_hand() -> None:
    student = torch.tensor([[[1.0, 2.0], [0.0, 0.0]], [[1.0, 1.0], [9.0, 9.0]]])
    teacher = torch.tensor([[[1.0, 4.0], [3.0, 1.0]], [[0.0, 3.0], [0.0, 0.0]]])
    # (0 + 4 + 9 + 1) / 4 and, with one real token, (1 + 4) / 2.
    losses = hidden_state_losses(student, teacher, torch.tensor([[1, 1], [1, 0]]))
    assert losses.tolist() == [3.5, 2.5]


def test_hidden_states_of_other_widths_want_a_projection() -> None:
    with pytest.raises(ValueError, match=r"got \(1, 2, 4\) and \(1, 2, 8\); a linear layer can"):
        hidden_state_losses(torch.zeros(1, 2, 4), torch.zeros(1, 2, 8), torch.ones(1, 2))


def test_scores_by_hand() -> None:
    # Two heads of one channel, then one head of four, whose root is 2.
    query, key = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[5.0, 6.0], [7.0, 8.0]]])
    expected = [[[[5.0, 7.0], [15.0, 21.0]], [[12.0, 16.0], [24.0, 32.0]]]]
    assert attention_scores(query, key, 2).tolist() == expected
    ones = torch.ones(1, 1, 4)
    assert attention_scores(ones, 3 * ones, 1).tolist() == [[[[6.0]]]]


def test_maps_are_those_of_transformers(tiny_model: str) -> None:
    network = AutoModelForSequenceClassification.from_pretrained(
        tiny_model, attn_implementation="eager"
    ).eval()
    captured: dict[str, Tensor] = {}
    attention = network.bert.encoder.layer[0].attention.self
    for name in ("query", "key"):
        getattr(attention, name).register_forward_hook(
            lambda _module, _inputs, output, name=name: captured.update({name: output})
        )
    ids = torch.arange(5, 20).view(3, 5)
    with torch.no_grad():
        output = network(input_ids=ids, attention_mask=MASK, output_attentions=True)
    ours = attention_probabilities(captured["query"], captured["key"], MASK, num_heads=2)
    assert (ours - output.attentions[0]).abs().max() < 1e-6


def test_maps_give_what_the_fused_kernel_gives() -> None:
    query, key, value = torch.randn(3, 3, 5, 8)
    heads = [vectors.view(3, 5, 4, 2).transpose(1, 2) for vectors in (query, key, value)]
    keys = MASK.bool()[:, None, None, :]
    expected = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=keys)
    ours = attention_probabilities(query, key, MASK, 4)
    assert torch.allclose(ours @ heads[2], expected, atol=1e-6)
    assert ours.masked_select(~keys).abs().max() == 0


def test_maps_want_heads_that_divide_the_channels() -> None:
    vectors = torch.zeros(1, 2, 12)
    with pytest.raises(ValueError, match="got num_heads=5 for 12 channels"):
        attention_scores(vectors, vectors, 5)
    with pytest.raises(ValueError, match="got num_heads=0 for 12 channels"):
        attention_probabilities(vectors, vectors, torch.ones(1, 2), 0)


def test_map_losses_by_hand() -> None:
    student = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]]).expand(
        2, 2, 2, 2
    )
    teacher = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]], [[2.0, 0.0], [0.0, 1.0]]]]).expand(
        2, 2, 2, 2
    )
    # Both heads over 2 x 2 pairs: (0 + 4 + 9 + 16 + 4 + 1) / 8; over the first pair: (0 + 4) / 2.
    losses = attention_map_losses(student, teacher, torch.tensor([[1, 1], [1, 0]]))
    assert losses.tolist() == [4.25, 2.0]


def test_scores_may_hold_an_infinite_mask() -> None:
    keys = MASK.bool()[:, None, None, :]
    student, teacher = torch.randn(3, 2, 5, 5), torch.randn(3, 2, 5, 5)
    masked = student.masked_fill(~keys, -math.inf).requires_grad_()
    ours = attention_map_losses(masked, teacher.masked_fill(~keys, -math.inf), MASK)
    assert torch.equal(ours, attention_map_losses(student, teacher, MASK))
    (gradient,) = torch.autograd.grad(ours.sum(), masked)
    assert gradient.isfinite().all()


def test_maps_of_other_head_counts_want_relations() -> None:
    with pytest.raises(ValueError, match=r"got \(1, 2, 3, 3\) and .*; `relation_losses` compares"):
        attention_map_losses(torch.zeros(1, 2, 3, 3), torch.zeros(1, 4, 3, 3), torch.ones(1, 3))


def relation(vectors: list[list[float]], channels: range) -> list[list[float]]:
    """Softmax(V V^T / sqrt(d_r)) of one relation head, number by number."""
    rows = []
    for query in vectors:
        dots = [sum(query[c] * key[c] for c in channels) for key in vectors]
        weights = [math.exp(dot / math.sqrt(len(channels))) for dot in dots]
        rows.append([weight / sum(weights) for weight in weights])
    return rows


def direct_relation_loss(
    student: list[list[float]], teacher: list[list[float]], num_relation_heads: int
) -> float:
    """MiniLMv2's formula, for one row without padding."""
    total = 0.0
    for head in range(num_relation_heads):
        maps = []
        for vectors in (student, teacher):
            size = len(vectors[0]) // num_relation_heads
            maps.append(relation(vectors, range(head * size, (head + 1) * size)))
        for of_student, of_teacher in zip(*maps, strict=True):
            pairs = zip(of_student, of_teacher, strict=True)
            total += sum(t * math.log(t / s) for s, t in pairs)
    return total / (num_relation_heads * len(student))


@pytest.mark.parametrize("num_relation_heads", [1, 3])
@pytest.mark.parametrize("teacher_channels", [3, 6])
def test_relations_are_the_formula_of_the_paper(
    num_relation_heads: int, teacher_channels: int
) -> None:
    student = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]
    teacher = [
        [1.0, 0.5, -0.5, 2.0, 0.0, -1.5][:teacher_channels],
        [-1.0, 0.75, 1.25, 0.5, -2.0, 1.0][:teacher_channels],
    ]
    ours = relation_losses(
        torch.tensor([student]), torch.tensor([teacher]), torch.ones(1, 2), num_relation_heads
    )
    expected = direct_relation_loss(student, teacher, num_relation_heads)
    assert ours.tolist() == pytest.approx([expected], rel=1e-5)


def test_relations_by_hand() -> None:
    # The student's first token: softmax(log 3, 0) = (3/4, 1/4); all other relations are (1/2, 1/2).
    student, teacher = torch.tensor([[[math.sqrt(math.log(3))], [0.0]]]), torch.zeros(1, 2, 1)
    expected = (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)) / 2
    losses = relation_losses(student, teacher, torch.ones(1, 2), 1)
    assert losses.tolist() == pytest.approx([expected])


def test_relations_are_blind_to_a_rotation_of_the_channels() -> None:
    vectors = torch.randn(2, 4, 6)
    rotation = torch.linalg.qr(torch.randn(6, 6)).Q
    mask = torch.ones(2, 4)
    assert relation_losses(vectors @ rotation, vectors, mask, 1).abs().max() < 1e-5
    assert relation_losses(vectors @ rotation, vectors, mask, 2).min() > 1e-3


@pytest.mark.parametrize("wrong", [5, 8, 0])
def test_relation_heads_divide_both_widths(wrong: int) -> None:
    message = f"got {wrong} for 12 and 16 channels; divisors of 4 fit"
    with pytest.raises(ValueError, match=message):
        relation_losses(torch.zeros(1, 2, 12), torch.zeros(1, 2, 16), torch.ones(1, 2), wrong)


def test_relations_want_the_same_tokens_of_both() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 3\) of batch and seq, got \(1, 2\)"):
        relation_losses(torch.zeros(1, 2, 4), torch.zeros(1, 3, 4), torch.ones(1, 2), 2)


def test_agreement_counts_rows() -> None:
    student = torch.tensor([[1.0, 2, 0], [3, 1, 1], [0, 0, 5], [2, 1, 0]])
    teacher = torch.tensor([[0.0, 9, 1], [3, 2, 1], [4, 0, 3], [0, 0, 1]])
    assert agreement(student, teacher).item() == 0.5


def test_multi_label_agreement_counts_labels() -> None:
    # A logit of 0 is a no, as in the metrics.
    student, teacher = torch.tensor([[1.0, -2], [0.0, 3]]), torch.tensor([[5.0, 2], [-1.0, 0.5]])
    assert agreement(student, teacher, multi_label=True).item() == 0.75


@pytest.mark.parametrize("share", [agreement, mean_kl])
def test_agreement_wants_one_shape(share: Losses) -> None:
    with pytest.raises(ValueError, match=r"got \(4, 2\) and \(1, 2\)"):
        share(torch.zeros(4, 2), torch.zeros(1, 2))


def test_mean_kl_is_at_temperature_one_and_outside_autograd() -> None:
    log_3 = math.log(3)
    student = torch.tensor([[0.0, log_3], [1.0, 1.0]], requires_grad=True)
    ours = mean_kl(student, torch.tensor([[log_3, 0.0], [0.0, 0.0]]))
    assert ours.item() == pytest.approx(log_3 / 4)
    assert not ours.requires_grad
