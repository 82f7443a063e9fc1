"""Names of linear layers and embeddings, by default and by pattern."""

from fnmatch import fnmatch

from torch import nn

from lightning_app.errors import InputError
from modules.text_classifier import TextClassifier


def linears_and_embeddings(model: TextClassifier) -> list[str]:
    """Names of all linear layers and embeddings in the module, in order."""
    return [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Embedding)]


def encoder_linears(model: TextClassifier, purpose: str) -> set[str]:
    """Names of the linear layers of the encoder.

    Args:
        model: With its network built.
        purpose: What they are wanted for, a verb, for the message.

    Raises:
        InputError: If the network has no encoder.
    """
    assert model.network is not None
    base = model.network.base_model
    encoder = getattr(base, "encoder", None) or getattr(base, "transformer", None)
    if not isinstance(encoder, nn.Module):
        raise InputError(
            f"Expected an encoder in the network to {purpose} by default, but a"
            f" {model.network.config.model_type} model has none; say what to {purpose} with"
            " `include`."
        )
    inside = {id(m) for m in encoder.modules() if isinstance(m, nn.Linear)}
    return {name for name, module in model.named_modules() if id(module) in inside}


def matching(argument: str, patterns: list[str], known: list[str]) -> set[str]:
    """Those of the names that match a pattern, from the start or from a dot on.

    Raises:
        InputError: If a pattern matches none; it lists those that there are.
    """
    found: set[str] = set()
    for pattern in patterns:
        matches = {n for n in known if fnmatch(n, pattern) or fnmatch(n, f"*.{pattern}")}
        if not matches:
            raise InputError(
                f"Expected `{argument}` to match a linear layer or embedding, but {pattern!r}"
                f" matches none of {', '.join(known)}."
            )
        found |= matches
    return found
