"""Compute in the last layer only what the classifier reads: the first token."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

# Where a last layer's attention hands over to what works token by token: all that follows
# (projection, residual, FFN) then sees one token. In this order; the first that exists is taken.
_HANDOVERS = ("attention.output", "attention.LayerNorm", "sa_layer_norm")


def compute_first_token_only(model: nn.Module) -> RemovableHandle | None:
    """Let the last encoder layer of a sequence classifier compute its first token only.

    Classification heads of the BERT family read the first token of the last layer; its other
    tokens feed nothing. Their keys and values are needed, their projection and FFN are not: 9 of
    the 12 parts of a layer's arithmetic, 12.5 % of a 6-layer encoder's, 6 % of a 12-layer one's,
    forward and backward. The same function to the rounding of float32; names in the state dict
    do not change. Measured by `python -m benchmarks.kernels`.

    The last hidden state becomes ``[batch, 1, hidden]``: not for who reads it whole (distillation
    of the last layer's hidden states, pooling over tokens). Remove the handle before export.

    Args:
        model: a transformers sequence classifier: BERT, RoBERTa, ELECTRA, MPNet or DistilBERT.

    Returns:
        A handle whose ``remove()`` undoes it, or None for an architecture not known, one whose
        layers share weights (ALBERT), or one whose logits change (its head reads other tokens).
    """
    handover = _find_handover(model)
    if handover is None:
        return None
    expected = _logits(model)
    handle = handover.register_forward_pre_hook(_slice_first_token)
    if torch.allclose(_logits(model), expected, rtol=1e-4, atol=1e-5):
        return handle
    handle.remove()
    return None


def _slice_first_token(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor[:, :1] for tensor in inputs)


def _find_handover(model: nn.Module) -> nn.Module | None:
    base = getattr(model, "base_model", None)
    encoder = getattr(base, "encoder", None) or getattr(base, "transformer", None)
    layers = getattr(encoder, "layer", None)
    if not isinstance(layers, nn.ModuleList) or len(layers) == 0:
        return None
    modules = dict(layers[-1].named_modules())
    return next((modules[name] for name in _HANDOVERS if name in modules), None)


@torch.no_grad()
def _logits(model: Any) -> Tensor:
    """Logits ``[batch, num_labels]`` of two short made-up texts."""
    was_training = model.training
    ids = torch.arange(5, 15, device=model.device).view(2, 5) % model.config.vocab_size
    try:
        logits: Tensor = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    finally:
        model.train(was_training)
    return logits
