"""Which weights a pruning callback works on."""

from fnmatch import fnmatch

from torch import nn
from torch.nn import Parameter

from lightning_app.errors import InputError
from modules.text_classifier import TextClassifier


def prunable_weights(
    model: TextClassifier, include: list[str] | None, exclude: list[str] | None
) -> dict[str, Parameter]:
    """Weights of linear layers, by their name in the module.

    Args:
        model: With its network built.
        include: Patterns (``*`` for anything) on the names of modules, of which linear layers
            and embeddings can be pruned; by default the linear layers of the encoder.
        exclude: Patterns on the names of modules to leave out.

    Raises:
        InputError: If a pattern matches no module; it lists those that there are.
    """
    assert model.network is not None
    known = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Embedding)]
    chosen = _encoder_linears(model) if include is None else _matching("include", include, known)
    left_out = _matching("exclude", exclude or [], known)
    names = [name for name in known if name in chosen and name not in left_out]
    if not names:
        raise InputError(
            f"Expected something to prune, but `exclude`={exclude} leaves out all that `include`="
            f"{include} takes."
        )
    return {f"{name}.weight": model.get_parameter(f"{name}.weight") for name in names}


def _encoder_linears(model: TextClassifier) -> set[str]:
    assert model.network is not None
    base = model.network.base_model
    encoder = getattr(base, "encoder", None) or getattr(base, "transformer", None)
    if not isinstance(encoder, nn.Module):
        raise InputError(
            "Expected an encoder in the network to prune by default, but a"
            f" {model.network.config.model_type} model has none; say what to prune with `include`."
        )
    inside = {id(m) for m in encoder.modules() if isinstance(m, nn.Linear)}
    return {name for name, module in model.named_modules() if id(module) in inside}


def _matching(argument: str, patterns: list[str], known: list[str]) -> set[str]:
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
