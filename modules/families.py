"""Where each family of encoders keeps the parts of a layer that compression changes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class FamilyLayout:
    """Names of the parts of an encoder layer, and of the configuration's sizes.

    Args:
        attention: Module, within the layer, that knows how many heads there are.
        query: Linear layer within the layer, ``[all_head_size, hidden]``, as are the next two.
        key: As ``query``.
        value: As ``query``.
        attention_output: Linear layer behind the heads, ``[hidden, all_head_size]``.
        intermediate: First linear layer of the FFN, ``[intermediate, hidden]``.
        output: Second linear layer of the FFN, ``[hidden, intermediate]``.
        activation: Module between the two.
        attention_norm: LayerNorm of the sum behind attention.
        output_norm: LayerNorm of the sum behind the FFN.
        layers: The list of layers within the base model.
        num_heads: Attribute of the attention module: number of heads.
        all_head_size: Attribute of the attention module: heads times head size, if it has one.
        shares_position_bias: Whether the attention module is given a bias
            ``[batch, heads, seq, seq]`` that is computed once for all layers.
        num_layers_key: The number of layers in the configuration.
        num_heads_key: The number of heads in the configuration.
        intermediate_size_key: The width of the FFN in the configuration.
        activation_key: The name of the FFN's activation in the configuration.
    """

    attention: str = "attention.self"
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attention_output: str = "attention.output.dense"
    intermediate: str = "intermediate.dense"
    output: str = "output.dense"
    activation: str = "intermediate.intermediate_act_fn"
    attention_norm: str = "attention.output.LayerNorm"
    output_norm: str = "output.LayerNorm"
    layers: str = "encoder.layer"
    num_heads: str = "num_attention_heads"
    all_head_size: str | None = "all_head_size"
    shares_position_bias: bool = False
    num_layers_key: str = "num_hidden_layers"
    num_heads_key: str = "num_attention_heads"
    intermediate_size_key: str = "intermediate_size"
    activation_key: str = "hidden_act"


_BERT = FamilyLayout()
FAMILIES = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "distilbert": FamilyLayout(
        attention="attention",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        intermediate="ffn.lin1",
        output="ffn.lin2",
        activation="ffn.activation",
        attention_norm="sa_layer_norm",
        output_norm="output_layer_norm",
        layers="transformer.layer",
        num_heads="n_heads",
        all_head_size=None,
        num_layers_key="n_layers",
        num_heads_key="n_heads",
        intermediate_size_key="hidden_dim",
        activation_key="activation",
    ),
    "mpnet": FamilyLayout(
        attention="attention.attn",
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attention_output="attention.attn.o",
        attention_norm="attention.LayerNorm",
        shares_position_bias=True,
    ),
}
"""The families whose layers can be changed, by ``model_type``."""


@dataclass(frozen=True)
class LayerParts:
    """The modules of one encoder layer, by their part in it.

    Args:
        layout: The family's names.
        layer: The whole layer.
    """

    layout: FamilyLayout
    layer: nn.Module

    @property
    def attention(self) -> nn.Module:
        """The module that knows how many heads there are."""
        return self.layer.get_submodule(self.layout.attention)

    @property
    def query(self) -> nn.Linear:
        """``[all_head_size, hidden]``."""
        return self._linear(self.layout.query)

    @property
    def key(self) -> nn.Linear:
        """``[all_head_size, hidden]``."""
        return self._linear(self.layout.key)

    @property
    def value(self) -> nn.Linear:
        """``[all_head_size, hidden]``."""
        return self._linear(self.layout.value)

    @property
    def attention_output(self) -> nn.Linear:
        """``[hidden, all_head_size]``."""
        return self._linear(self.layout.attention_output)

    @property
    def intermediate(self) -> nn.Linear:
        """``[intermediate, hidden]``."""
        return self._linear(self.layout.intermediate)

    @property
    def output(self) -> nn.Linear:
        """``[hidden, intermediate]``."""
        return self._linear(self.layout.output)

    @property
    def activation(self) -> nn.Module:
        """Of the FFN, between ``intermediate`` and ``output``."""
        return self.layer.get_submodule(self.layout.activation)

    @property
    def norms(self) -> tuple[nn.LayerNorm, nn.LayerNorm]:
        """Behind attention, and behind the FFN."""
        return self._norm(self.layout.attention_norm), self._norm(self.layout.output_norm)

    @property
    def head_size(self) -> int:
        """Channels of one head."""
        return int(self.attention.attention_head_size)  # type: ignore[arg-type]

    @property
    def num_heads(self) -> int:
        """Heads that are left."""
        return int(getattr(self.attention, self.layout.num_heads))

    @property
    def heads(self) -> tuple[int, ...]:
        """The heads that are left, by their numbers in the base model."""
        kept: tuple[int, ...] = getattr(self.attention, "kept_heads", tuple(range(self.num_heads)))
        return kept

    @property
    def intermediate_size(self) -> int:
        """FFN neurons that are left."""
        return self.intermediate.out_features

    def set_heads(self, heads: tuple[int, ...]) -> None:
        """Tell the attention module which of the base model's heads its linear layers hold."""
        layout, attention = self.layout, self.attention
        setattr(attention, layout.num_heads, len(heads))
        if layout.all_head_size is not None:
            setattr(attention, layout.all_head_size, len(heads) * self.head_size)
        attention.kept_heads = heads  # type: ignore[assignment]  # a plain value
        hooks = attention._forward_pre_hooks.values()
        if layout.shares_position_bias and _keep_bias_of_heads not in hooks:
            attention.register_forward_pre_hook(_keep_bias_of_heads)

    def set_activation(self, activation: nn.Module) -> None:
        """Put another module in the place of the FFN's activation."""
        self.layer.set_submodule(self.layout.activation, activation)

    def set_norms(self, attention_norm: nn.Module, output_norm: nn.Module) -> None:
        """Put other modules in the places of the two LayerNorms; hooks on those are lost."""
        self.layer.set_submodule(self.layout.attention_norm, attention_norm)
        self.layer.set_submodule(self.layout.output_norm, output_norm)

    def resize(self, heads: tuple[int, ...], intermediate_size: int) -> None:
        """Cut the layer to these heads and this many neurons; which weights stay is not said."""
        channels = len(heads) * self.head_size
        for linear in (self.query, self.key, self.value):
            _cut(linear, out_features=channels)
        _cut(self.attention_output, in_features=channels)
        _cut(self.intermediate, out_features=intermediate_size)
        _cut(self.output, in_features=intermediate_size)
        self.set_heads(heads)

    def _linear(self, name: str) -> nn.Linear:
        module = self.layer.get_submodule(name)
        assert isinstance(module, nn.Linear), name
        return module

    def _norm(self, name: str) -> nn.LayerNorm:
        module = self.layer.get_submodule(name)
        assert isinstance(module, nn.LayerNorm), name
        return module


def layout_for(model_type: str) -> FamilyLayout:
    """The layout of a family.

    Raises:
        InputError: If its layers cannot be changed; it lists the families where they can.
    """
    if model_type in FAMILIES:
        return FAMILIES[model_type]
    reason = ", whose layers share one set of weights" if model_type == "albert" else ""
    raise InputError(
        "Expected `model.model_name_or_path` to be of a family whose layers can be changed"
        f" ({', '.join(FAMILIES)}), got {model_type!r}{reason}; choose another base model, or prune"
        " single weights."
    )


def layout_of(network: "PreTrainedModel") -> FamilyLayout:
    """The layout of a network; see :func:`layout_for`."""
    return layout_for(network.config.model_type)


def layer_parts(network: "PreTrainedModel") -> list[LayerParts]:
    """The parts of each encoder layer, bottom first."""
    layout = layout_of(network)
    layers = network.base_model.get_submodule(layout.layers)
    return [LayerParts(layout, layer) for layer in layers.children()]


def _keep_bias_of_heads(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Hook: of the position bias ``[batch, heads, seq, seq]`` of all heads, those kept here."""
    hidden, mask, bias, *rest = inputs
    if isinstance(bias, Tensor) and bias.shape[1] != len(module.kept_heads):
        bias = bias[:, list(module.kept_heads)]
    return (hidden, mask, bias, *rest)


@torch.no_grad()
def _cut(
    linear: nn.Linear, *, out_features: int | None = None, in_features: int | None = None
) -> None:
    linear.weight = _same_kind(linear.weight, linear.weight[:out_features, :in_features])
    if linear.bias is not None:
        linear.bias = _same_kind(linear.bias, linear.bias[:out_features])
    linear.out_features, linear.in_features = linear.weight.shape


def _same_kind(parameter: Tensor, values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.clone(), requires_grad=parameter.requires_grad)
