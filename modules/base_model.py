"""What a base model's configuration allows."""

from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def set_dropout(config: Any, kind: str, value: float | None) -> None:
    """Change ``hidden_dropout`` or ``attention_dropout``; None leaves it as it is.

    Raises:
        InputError: If the configuration has no such dropout.
    """
    if value is None:
        return
    names = {
        "hidden_dropout": ("hidden_dropout_prob", "dropout"),
        "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout"),
    }[kind]
    present = [name for name in names if hasattr(config, name)]
    if not present:
        raise InputError(
            f"Expected the base model to have a {kind.replace('_', ' ')}, but a"
            f" {config.model_type} configuration has none of {', '.join(names)}."
        )
    setattr(config, present[0], value)


def check_length(network: "PreTrainedModel", max_seq_length: int) -> None:
    """Refuse inputs that are longer than the network has positions."""
    longest = getattr(network.config, "max_position_embeddings", None)
    embeddings = getattr(network.base_model, "embeddings", None)
    positions = getattr(embeddings, "position_embeddings", None)
    if not longest:
        return
    # RoBERTa and its kin begin to count after the padding.
    padding = getattr(positions, "padding_idx", None)
    first = 0 if padding is None else padding + 1
    if max_seq_length > longest - first:
        raise InputError(
            f"Expected `data.max_seq_length` to be at most {longest - first}, the longest input of"
            f" this {network.config.model_type} model, got {max_seq_length}."
        )
