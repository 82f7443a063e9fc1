"""Attention for CPUs with true dropout on the probabilities, registered with transformers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask

from lightning_app.xla import XLA
from modules.dropout import dropped_fraction, is_eager_cpu, keep_mask

ATTENTION_NAME = "glint"

# Without dropout, PyTorch's flash kernel overtakes batched products between 64 and 128 keys
# (`python -m benchmarks.kernels`).
_MAX_KEYS_WITHOUT_DROPOUT = 96
# `torch.softmax` leaves its vector path for rows shorter than a vector of 16 floats.
_MIN_VECTOR_ROW = 16


def register_attention() -> str:
    """Register this attention with transformers and return the name it goes by.

    PyTorch's fused CPU kernel knows no dropout, so BERT's default ``attention_probs_dropout_prob
    = 0.1`` drops to an unfused path of some twenty operations with a serial ``bernoulli_``. This
    one is the same function (Attention Is All You Need, arXiv 1706.03762, section 3.2.1, dropout
    on the probabilities as in the authors' code and BERT) in six batched operations forward and
    seven backward. On the batches of fine-tuning it takes little over half of the unfused path's
    time, about as much as the flash kernel without dropout: measured by
    `python -m benchmarks.kernels`.

    BERT, RoBERTa, DistilBERT, ELECTRA and ALBERT take it; MPNet and DeBERTa have attention of
    their own (relative positions), which the name leaves as it is. Off the CPU, under
    ``torch.compile`` and ``torch.export``, and for causal attention it hands over to
    transformers' ``sdpa``.

    Returns:
        The name for ``from_pretrained(..., attn_implementation=name)`` and
        ``model.set_attn_implementation(name)``.

    Example:
        >>> register_attention()
        'glint'
    """
    AttentionInterface.register(ATTENTION_NAME, attention_forward)
    # Additive, made once a batch (None without padding), and also what models with attention of
    # their own expect: SDPA's boolean mask would be added to their scores as 0 and 1.
    AttentionMaskInterface.register(ATTENTION_NAME, additive_mask)
    return ATTENTION_NAME


def additive_mask(
    *,
    device: torch.device | str = "cpu",
    allow_is_bidirectional_skip: bool = False,
    **options: Any,
) -> Tensor | None:
    """transformers' ``eager_mask``; on XLA made for batches without padding, too.

    To see whether there is padding would wait for the device at each step, and make two programs.
    """
    may_skip = allow_is_bidirectional_skip and torch.device(device).type != XLA
    options |= {"device": device, "allow_is_bidirectional_skip": may_skip}
    mask: Tensor | None = eager_mask(**options)
    return mask


def attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend, under the signature transformers expects of a registered attention.

    Args:
        module: the layer that attends; only its ``is_causal`` is read.
        query: ``[batch, heads, queries, head_dim]``.
        key: ``[batch, heads, keys, head_dim]``.
        value: ``[batch, heads, keys, head_dim]``.
        attention_mask: additive or boolean (True is kept), broadcastable to
            ``[batch, heads, queries, keys]``, or None.
        dropout: chance in [0, 1) that a probability is dropped; zero outside training.
        scaling: factor on the scores; by default ``head_dim ** -0.5``.
        kwargs: what other implementations understand.

    Returns:
        The attended values ``[batch, queries, heads, head_dim]``, and no weights.
    """
    if not _is_ours(module, query, key, attention_mask, dropout, kwargs):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    keep, dropped = None, dropped_fraction(dropout)
    if dropped > 0:
        dtype = query.dtype if query.dtype == torch.float64 else torch.float32
        keep = keep_mask(torch.Size((*query.shape[:3], key.shape[2])), dropped, dtype)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        attention_mask = torch.zeros(attention_mask.shape, dtype=query.dtype).masked_fill_(
            ~attention_mask, torch.finfo(query.dtype).min
        )
    return dropout_attention(query, key, value, attention_mask, keep, scaling, 1 - dropped), None


def dropout_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    keep: Tensor | None,
    scaling: float,
    keep_probability: float,
) -> Tensor:
    """Compute ``dropout(softmax(scaling * query @ key.T + mask)) @ value``, differentiably.

    Arithmetic is in float32 at least: under bfloat16 autocast the inputs are widened, which at
    these sizes is also faster than bfloat16 products and their conversions.

    Args:
        query: ``[batch, heads, queries, head_dim]``, any strides.
        key: ``[batch, heads, keys, head_dim]``.
        value: ``[batch, heads, keys, head_dim]``.
        mask: added to the scores, broadcastable to ``[batch, heads, queries, keys]``. It gets
            no gradient.
        keep: ``[batch, heads, queries, keys]``, 1 where a probability is kept and 0 where it is
            dropped, or None to keep all.
        scaling: factor on the scores.
        keep_probability: what the kept probabilities are divided by.

    Returns:
        ``[batch, queries, heads, head_dim]``, contiguous, in float32 (float64 for float64).
    """
    out: Tensor = _DropoutAttention.apply(  # type: ignore[no-untyped-call]
        *map(_at_least_float32, (query, key, value)), mask, keep, scaling, 1 / keep_probability
    )
    return out


class _DropoutAttention(torch.autograd.Function):
    """The gradient of dropped-out softmax needs no second mask.

    With P the probabilities, D = P * keep, O = D V / keep_probability and G the gradient of O,
    the gradient of the scores is ``D * (G V') - P * rowsum(G * O)``: FlashAttention (arXiv
    2205.14135, appendix B.4), where the row sum over head_dim replaces one over keys.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        keep: Tensor | None,
        scaling: float,
        keep_scale: float,
    ) -> Tensor:
        ctx.shape = (*query.shape[:2], -1, query.shape[-1])
        ctx.scaling, ctx.keep_scale = scaling, keep_scale
        with torch.autocast("cpu", enabled=False):
            query, key, value = _pack(query, scaling), _pack(key), _pack(value, keep_scale)
            scores = torch.bmm(query, key.mT)
            if mask is not None:
                scores.view(*ctx.shape[:3], scores.shape[-1]).add_(mask)
            probabilities = _softmax_(scores)
            dropped = probabilities if keep is None else probabilities * keep.flatten(0, 1)
            out = torch.bmm(dropped, value)
        ctx.save_for_backward(query, key, value, probabilities, dropped, out)
        return out.view(*ctx.shape[:3], out.shape[-1]).transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, probabilities, dropped, out = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            grad = _pack(grad.transpose(1, 2))
            grad_value = torch.bmm(dropped.mT, grad).mul_(ctx.keep_scale)
            grad_scores = torch.bmm(grad, value.mT).mul_(dropped)
            row_sums = grad.mul_(out).sum(-1, keepdim=True)
            grad_scores.addcmul_(probabilities, row_sums, value=-1)
            grad_query = torch.bmm(grad_scores, key).mul_(ctx.scaling)
            grad_key = torch.bmm(grad_scores.mT, query)
        grads = (g.view(ctx.shape) for g in (grad_query, grad_key, grad_value))
        return *grads, None, None, None, None


def _is_ours(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    dropout: float,
    kwargs: dict[str, Any],
) -> bool:
    is_causal = kwargs.get("is_causal")
    is_causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    plain = not any(kwargs.get(name) is not None for name in ("softcap", "position_bias", "cache"))
    if not plain or (is_causal and mask is None) or query.shape[1] != key.shape[1]:
        return False
    if not is_eager_cpu(query) or dropped_fraction(dropout) == 1:
        return False
    flash_is_faster = key.shape[2] > _MAX_KEYS_WITHOUT_DROPOUT
    flash_is_on = torch.backends.cuda.flash_sdp_enabled()  # type: ignore[no-untyped-call]
    return dropout > 0 or not (flash_is_faster and flash_is_on)


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _pack(tensor: Tensor, factor: float = 1.0) -> Tensor:
    """Copy ``[batch, heads, seq, head_dim]`` to contiguous ``[batch * heads, seq, head_dim]``.

    Always a copy (what follows works in place), scaled in the same pass.
    """
    packed = torch.empty(tensor.shape, dtype=tensor.dtype)
    if factor == 1:
        packed.copy_(tensor)
    else:
        torch.mul(tensor, factor, out=packed)
    return packed.flatten(0, 1)


def _softmax_(scores: Tensor) -> Tensor:
    """Softmax over the last axis; may overwrite `scores`.

    Rows of 14 (SST-2 at batch 32) take the five vectorized operations a fraction of what they
    take ``torch.softmax``: measured by `python -m benchmarks.kernels`.
    """
    if scores.shape[-1] >= _MIN_VECTOR_ROW:
        return torch.softmax(scores, -1)
    scores.sub_(scores.amax(-1, keepdim=True)).exp_()
    return scores.div_(scores.sum(-1, keepdim=True))
