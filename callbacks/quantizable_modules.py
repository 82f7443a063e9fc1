"""Which modules a quantizing callback works on."""

from torch import nn

from callbacks.module_patterns import encoder_linears, linears_and_embeddings, matching
from lightning_app.errors import InputError
from modules.text_classifier import TextClassifier


def quantizable_modules(
    model: TextClassifier, include: list[str] | None, exclude: list[str] | None
) -> list[str]:
    """Names of linear layers and embeddings within the network, in order.

    Args:
        model: With its network built.
        include: Patterns (``*`` for anything) on the names of modules; by default the linear
            layers of the encoder and the embeddings. Pooler and classifier, which see one token
            and have next to no parameters, stay in float32.
        exclude: Patterns on the names of modules to leave out.

    Raises:
        InputError: If a pattern matches no module; it lists those that there are.
    """
    known = linears_and_embeddings(model)
    if include is None:
        chosen = encoder_linears(model, "quantize") | _embeddings(model)
    else:
        chosen = matching("include", include, known)
    left_out = matching("exclude", exclude or [], known)
    names = [name for name in known if name in chosen and name not in left_out]
    if not names:
        raise InputError(
            f"Expected something to quantize, but `exclude`={exclude} leaves out all that"
            f" `include`={include} takes."
        )
    return [name.removeprefix("network.") for name in names]


def _embeddings(model: TextClassifier) -> set[str]:
    """Not the tables of relative positions, which are within the encoder."""
    assert model.network is not None
    embeddings = getattr(model.network.base_model, "embeddings", None)
    modules = embeddings.modules() if isinstance(embeddings, nn.Module) else ()
    inside = {id(m) for m in modules if isinstance(m, nn.Embedding)}
    return {name for name, module in model.named_modules() if id(module) in inside}
