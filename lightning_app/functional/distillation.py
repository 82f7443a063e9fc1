"""Distillation: how far a student is from its teacher, one loss a row.

All losses are at least float32, the teacher's tensors are constants in them, and a row's loss is a
mean over its real tokens: neither padding nor the other rows of the batch change it. A row without
real tokens loses 0. ``attention_mask`` is ``[batch, seq]``, 1 or True = real token.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_target_losses(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """``T**2 * KL(teacher || student)`` of ``softmax(logits / T)``.

    Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531, section 2. ``T**2`` keeps the size of the gradient while ``T`` changes; the
    gradient is that of the paper's cross-entropy, and the loss of a perfect student is 0.

    Args:
        student_logits: ``[batch, num_labels]``.
        teacher_logits: ``[batch, num_labels]``.
        temperature: ``T``, above 0; the higher, the more the unlikely labels count.

    Returns:
        ``[batch]``.

    Raises:
        ValueError: If the shapes differ or the temperature is not above 0.
    """
    _check_logits(student_logits, teacher_logits)
    _check_temperature(temperature)
    student = F.log_softmax(_widen(student_logits) / temperature, dim=-1)
    teacher = F.log_softmax(_widen(teacher_logits.detach()) / temperature, dim=-1)
    return temperature**2 * _divergence(student, teacher)


def soft_multi_label_losses(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """`soft_target_losses` for independent labels: of ``sigmoid(logits / T)``, mean over labels.

    Args:
        student_logits: ``[batch, num_labels]``.
        teacher_logits: ``[batch, num_labels]``.
        temperature: ``T``, above 0.

    Returns:
        ``[batch]``.

    Raises:
        ValueError: If the shapes differ or the temperature is not above 0.
    """
    _check_logits(student_logits, teacher_logits)
    _check_temperature(temperature)
    student = _log_yes_and_no(_widen(student_logits) / temperature)
    teacher = _log_yes_and_no(_widen(teacher_logits.detach()) / temperature)
    return temperature**2 * _divergence(student, teacher).mean(dim=-1)


def soft_regression_losses(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Squared error against the teacher's predictions, mean over targets.

    Args:
        student_logits: ``[batch, num_labels]``; ``[batch, 1]`` for one target.
        teacher_logits: ``[batch, num_labels]``.

    Returns:
        ``[batch]``.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_logits(student_logits, teacher_logits)
    return _difference(student_logits, teacher_logits).square().mean(dim=-1)


def hidden_state_losses(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
    """Squared error of hidden states or embeddings, mean over real tokens and features.

    Jiao et al., "TinyBERT: Distilling BERT for Natural Language Understanding", 2019,
    arXiv:1909.10351, section 3.1, equations 8 and 9.

    Args:
        student: ``[batch, seq, hidden]``, already projected to the teacher's width.
        teacher: ``[batch, seq, hidden]``.
        attention_mask: ``[batch, seq]``.

    Returns:
        ``[batch]``.

    Raises:
        ValueError: If the shapes differ or the mask does not fit them.
    """
    way_out = "a linear layer can project the student to the teacher's width"
    _check_same_shape(student, teacher, "[batch, seq, hidden]", way_out)
    _check_mask(attention_mask, student)
    errors = _difference(student, teacher).square().mean(dim=-1)
    return _mean_over_tokens(errors, attention_mask)


def attention_scores(query: Tensor, key: Tensor, num_heads: int) -> Tensor:
    """``q k^T / sqrt(head_size)``: attention before mask and softmax, whatever kernel ran.

    Args:
        query: ``[batch, seq, channels]``, all heads side by side, as they enter the product
            (behind rotary embeddings where a model has them).
        key: ``[batch, seq, channels]``.
        num_heads: Number of heads; it must divide the channels.

    Returns:
        ``[batch, heads, seq, seq]``, queries before keys, at least float32 also under autocast.
        Without what a model adds itself, such as position biases.

    Raises:
        ValueError: If the heads do not divide the channels.
    """
    channels = query.shape[-1]
    if num_heads < 1 or channels % num_heads:
        raise ValueError(
            f"Expected `num_heads` to divide the channels of `query`, got num_heads={num_heads}"
            f" for {channels} channels."
        )
    scale = 1 / math.sqrt(channels // num_heads)
    # bfloat16 would round scores of 16 to 1/8, and differences are what is distilled.
    with torch.autocast(query.device.type, enabled=False):
        return (_split_heads(query, num_heads) * scale) @ _split_heads(key, num_heads).mT


def attention_probabilities(
    query: Tensor, key: Tensor, attention_mask: Tensor, num_heads: int
) -> Tensor:
    """Attention maps: softmax of `attention_scores` over real keys.

    Args:
        query: ``[batch, seq, channels]``, as in `attention_scores`.
        key: ``[batch, seq, channels]``.
        attention_mask: ``[batch, seq]``.
        num_heads: Number of heads; it must divide the channels.

    Returns:
        ``[batch, heads, seq, seq]``; rows sum to 1, also those of padding, and padded keys get 0.

    Raises:
        ValueError: If the heads do not divide the channels or the mask does not fit.
    """
    _check_mask(attention_mask, query)
    scores = attention_scores(query, key, num_heads)
    return _without_padded_keys(scores, attention_mask).softmax(dim=-1)


def attention_map_losses(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
    """Squared error of attention maps, mean over heads, real queries and real keys.

    TinyBERT (see `hidden_state_losses`), section 3.1, equation 7. The paper fits `attention_scores`
    and finds that they converge faster and end better than `attention_probabilities`, whose errors
    also shrink with the length of the text; both maps must be of the same kind.

    Args:
        student: ``[batch, heads, seq, seq]``, queries before keys.
        teacher: ``[batch, heads, seq, seq]``.
        attention_mask: ``[batch, seq]``.

    Returns:
        ``[batch]``.

    Raises:
        ValueError: If the shapes differ, among them the number of heads, or the mask does not fit.
    """
    way_out = "`relation_losses` compares models of different heads"
    _check_same_shape(student, teacher, "[batch, heads, seq, seq]", way_out)
    _check_mask(attention_mask, student[:, 0])
    real = attention_mask.bool()
    pairs = real[:, None, :, None] & real[:, None, None, :]
    # Before the square: where a mask was added to the scores, padding holds inf - inf.
    differences = _difference(student, teacher).masked_fill(~pairs, 0)
    sums = differences.square().mean(dim=1).sum(dim=(1, 2))
    return sums / real.sum(dim=1).square().clamp_min(1)


def relation_losses(
    student_vectors: Tensor,
    teacher_vectors: Tensor,
    attention_mask: Tensor,
    num_relation_heads: int,
) -> Tensor:
    """KL(teacher || student) of self-attention relations, mean over relation heads and tokens.

    Wang et al., "MiniLMv2: Multi-Head Self-Attention Relation Distillation for Compressing
    Pretrained Transformers", 2020, arXiv:2012.15828, section 3.1. The channels of all heads are
    split anew into relation heads, and the relation of one is ``softmax(V V^T / sqrt(d_r))`` over
    real keys, with ``d_r`` channels each: widths and head counts of the two may differ. The paper
    adds the losses of queries, keys and values of one layer.

    Args:
        student_vectors: ``[batch, seq, channels]``, queries, keys or values of all heads side by
            side.
        teacher_vectors: ``[batch, seq, channels]``, the same of the teacher; any width.
        attention_mask: ``[batch, seq]``.
        num_relation_heads: ``A_r``; it must divide both numbers of channels. The paper takes 48 of
            a base-size and 64 of a large teacher, more than either has heads.

    Returns:
        ``[batch]``.

    Raises:
        ValueError: If the relation heads do not divide the channels or the mask does not fit.
    """
    _check_relation_heads(student_vectors, teacher_vectors, num_relation_heads)
    _check_mask(attention_mask, student_vectors)
    _check_mask(attention_mask, teacher_vectors)
    student = _log_relations(student_vectors, attention_mask, num_relation_heads)
    teacher = _log_relations(teacher_vectors.detach(), attention_mask, num_relation_heads)
    return _mean_over_tokens(_divergence(student, teacher).mean(dim=1), attention_mask)


def agreement(student_logits: Tensor, teacher_logits: Tensor, multi_label: bool = False) -> Tensor:
    """Share of rows for which student and teacher predict the same class.

    Args:
        student_logits: ``[batch, num_labels]``.
        teacher_logits: ``[batch, num_labels]``.
        multi_label: Share of labels in place of rows: that both assign (logit above 0) or neither.

    Returns:
        A scalar in [0, 1].

    Raises:
        ValueError: If the shapes differ.
    """
    _check_logits(student_logits, teacher_logits)
    answers = [
        logits > 0 if multi_label else logits.argmax(dim=-1)
        for logits in (student_logits, teacher_logits)
    ]
    return (answers[0] == answers[1]).float().mean()


def mean_kl(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL(teacher || student) at temperature 1, mean over rows: a number to log, not to train on.

    Args:
        student_logits: ``[batch, num_labels]``, of one label a row.
        teacher_logits: ``[batch, num_labels]``.

    Returns:
        A scalar in nats, outside autograd.

    Raises:
        ValueError: If the shapes differ.
    """
    return soft_target_losses(student_logits.detach(), teacher_logits).mean()


def _widen(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _difference(student: Tensor, teacher: Tensor) -> Tensor:
    return _widen(student) - _widen(teacher.detach())


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) of log-probabilities ``[..., outcomes]``."""
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=-1)


def _log_yes_and_no(logits: Tensor) -> Tensor:
    return torch.stack((F.logsigmoid(logits), F.logsigmoid(-logits)), dim=-1)


def _mean_over_tokens(values: Tensor, attention_mask: Tensor) -> Tensor:
    real = attention_mask.bool()
    return values.masked_fill(~real, 0).sum(dim=1) / real.sum(dim=1).clamp_min(1)


def _split_heads(vectors: Tensor, num_heads: int) -> Tensor:
    return torch.unflatten(_widen(vectors), -1, (num_heads, -1)).transpose(1, 2)


def _log_relations(vectors: Tensor, attention_mask: Tensor, num_relation_heads: int) -> Tensor:
    scores = attention_scores(vectors, vectors, num_relation_heads)
    return _without_padded_keys(scores, attention_mask).log_softmax(dim=-1)


def _without_padded_keys(scores: Tensor, attention_mask: Tensor) -> Tensor:
    padded = ~attention_mask.bool()[:, None, None, :]
    # Not -inf, of which a row without real tokens and the KL at padded keys would be NaN.
    return scores.masked_fill(padded, torch.finfo(scores.dtype).min)


def _check_logits(student: Tensor, teacher: Tensor) -> None:
    way_out = "both need the same labels, and one target is [batch, 1]"
    _check_same_shape(student, teacher, "[batch, num_labels]", way_out)


def _check_same_shape(student: Tensor, teacher: Tensor, axes: str, way_out: str) -> None:
    if student.shape != teacher.shape or student.dim() != axes.count(",") + 1:
        raise ValueError(
            f"Expected student and teacher to have one shape {axes}, got {tuple(student.shape)}"
            f" and {tuple(teacher.shape)}; {way_out}."
        )


def _check_mask(attention_mask: Tensor, vectors: Tensor) -> None:
    if attention_mask.shape != vectors.shape[:2]:
        raise ValueError(
            f"Expected `attention_mask` to have the shape {tuple(vectors.shape[:2])} of batch and"
            f" seq, got {tuple(attention_mask.shape)}."
        )


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < math.inf:
        raise ValueError(f"Expected `temperature` to be above 0 and finite, got {temperature}.")


def _check_relation_heads(student: Tensor, teacher: Tensor, num_relation_heads: int) -> None:
    channels = (student.shape[-1], teacher.shape[-1])
    largest = math.gcd(*channels)
    if num_relation_heads < 1 or largest % num_relation_heads:
        raise ValueError(
            f"Expected `num_relation_heads` to divide the channels of student and teacher, got"
            f" {num_relation_heads} for {channels[0]} and {channels[1]} channels; divisors of"
            f" {largest} fit."
        )
