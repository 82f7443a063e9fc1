"""Which weights a pruning callback works on."""

from torch.nn import Parameter

from callbacks.module_patterns import encoder_linears, linears_and_embeddings, matching
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
    known = linears_and_embeddings(model)
    chosen = (
        encoder_linears(model, "prune") if include is None else matching("include", include, known)
    )
    left_out = matching("exclude", exclude or [], known)
    names = [name for name in known if name in chosen and name not in left_out]
    if not names:
        raise InputError(
            f"Expected something to prune, but `exclude`={exclude} leaves out all that `include`="
            f"{include} takes."
        )
    return {f"{name}.weight": model.get_parameter(f"{name}.weight") for name in names}
