"""Faster ways to compute the same network; names in the state dict do not change."""

from typing import TYPE_CHECKING

from torch.utils.hooks import RemovableHandle

from modules.attention import register_attention
from modules.dropout import use_fast_dropout
from modules.fake_quantization import without_fake_quantization
from modules.first_token import compute_first_token_only

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def accelerate(network: "PreTrainedModel") -> RemovableHandle | None:
    """Give the network Glint's attention and dropout, and a last layer of the first token alone.

    Returns:
        A handle whose ``remove()`` brings the last layer's other tokens back, or None where they
        are needed.
    """
    use_fast_dropout(network)
    name = register_attention()
    try:
        network.set_attn_implementation(name)
    except ValueError:  # a family with attention of its own keeps it
        network.set_attn_implementation("eager")
    # It compares logits with and without: a value that rounds the other way is a whole step apart.
    with without_fake_quantization(network):
        return compute_first_token_only(network)
