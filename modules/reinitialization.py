"""Initialise the upper layers of an encoder anew."""

from typing import TYPE_CHECKING

from torch import nn

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def encoder_layers(network: "PreTrainedModel") -> nn.ModuleList:
    """The list of the encoder's layers, bottom first.

    Raises:
        InputError: If the network keeps them in no list of ``num_hidden_layers`` modules.
    """
    wanted = network.config.num_hidden_layers
    for module in network.modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted:
            return module
    raise InputError(
        f"Expected a list of {wanted} layers in the network, but a"
        f" {network.config.model_type} model has none."
    )


def reinitialize_top_layers(network: "PreTrainedModel", num_layers: int) -> None:
    """Initialise the pooler and the top ``num_layers`` layers as before pre-training.

    Zhang et al. 2020, "Revisiting Few-sample BERT Fine-tuning" (arXiv:2006.05987), section 5: the
    upper layers are specialised to pre-training and a bad start for small data.
    """
    layers = encoder_layers(network)
    if not 0 < num_layers <= len(layers):
        raise InputError(
            f"Expected `model.reinit_layers` to be in [1, {len(layers)}], got {num_layers}."
        )
    targets: list[nn.Module] = list(layers[-num_layers:])
    pooler = getattr(network.base_model, "pooler", None)
    if isinstance(pooler, nn.Module):
        targets.append(pooler)
    for target in targets:
        for module in target.modules():
            _initialize(module, network.config.initializer_range)


def _initialize(module: nn.Module, standard_deviation: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=standard_deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
