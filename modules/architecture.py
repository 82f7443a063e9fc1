"""What the network looks like, as plain data that every checkpoint carries."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from lightning_app.errors import InputError
from lightning_app.pretrained import network_from_config
from modules.fake_quantization import apply_quantization
from modules.families import layer_parts, layout_for
from modules.operators import RELU, Operators, apply_operators
from modules.quantization import Quantization

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

RECORD_VERSION = 4

# A record is of the oldest version that can say what it says, so that older Glints read it.
_VERSION_OF_CONFIGURATION = 1
_VERSION_OF_LAYERS = 2
_VERSION_OF_OPERATORS = 3


@dataclass(frozen=True)
class LayerShape:
    """What is left of one encoder layer.

    Args:
        heads: The attention heads kept, by their numbers in the base model, ascending.
        intermediate_size: Number of FFN neurons.
    """

    heads: tuple[int, ...]
    intermediate_size: int


@dataclass(frozen=True)
class ArchitectureRecord:
    """From it the network is rebuilt before weights are loaded, with no file and no network.

    Args:
        base_model: Where the weights came from: hub id, folder or ``embedded``.
        config: The `transformers` configuration as plain values, ``model_type`` included.
        history: The operations that led here, oldest first, each with its ``operation``.
        layers: The shape of each layer where pruning left what no configuration can say (heads
            removed, FFN widths that differ); then ``config`` keeps the base model's number of
            heads and the largest width. None where ``config`` says it all.
        operators: Operators that no configuration names: those being annealed, and affines in
            place of LayerNorms. None where ``config`` says it all.
        quantization: What is fake-quantized, and how; None for nothing. The weights themselves
            are not rounded: plain `transformers` opens them, and computes without it.
    """

    base_model: str
    config: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    layers: tuple[LayerShape, ...] | None = None
    operators: Operators | None = None
    quantization: Quantization | None = None

    @property
    def layout(self) -> Literal["hf_uniform", "free"]:
        """``hf_uniform`` opens in plain `from_pretrained`, ``free`` through this record alone."""
        return "hf_uniform" if self.layers is None and self.operators is None else "free"

    @classmethod
    def of_config(cls, base_model: str, config: "PreTrainedConfig") -> "ArchitectureRecord":
        """The record of a network fresh from ``base_model``."""
        plain = json.loads(config.to_json_string(use_diff=False))
        plain["model_type"] = config.model_type
        return cls(base_model, plain, [{"operation": "load", "from": base_model}])

    @property
    def since_start(self) -> list[dict[str, Any]]:
        """What was done since the fit's weights were loaded, or continued from a checkpoint."""
        starts = [n for n, e in enumerate(self.history) if e["operation"] in ("load", "continue")]
        return self.history[max(starts, default=-1) + 1 :]

    def with_operation(self, operation: str, **details: Any) -> "ArchitectureRecord":
        """The record after one more operation; ``details`` are plain values."""
        entry = {"operation": operation, **details}
        return replace(self, history=[*self.history, entry])

    def with_shapes(self, shapes: Sequence[LayerShape]) -> "ArchitectureRecord":
        """The record of a network with these layers, in the configuration's words if it can."""
        layout = layout_for(self.config["model_type"])
        width = max(shape.intermediate_size for shape in shapes)
        sizes = {layout.num_layers_key: len(shapes), layout.intermediate_size_key: width}
        whole = LayerShape(tuple(range(self.config[layout.num_heads_key])), width)
        layers = None if all(shape == whole for shape in shapes) else tuple(shapes)
        return replace(self, config={**self.config, **sizes}, layers=layers)

    def with_operators(self, operators: Operators) -> "ArchitectureRecord":
        """The record of a network with these operators, in the configuration's words if it can."""
        config = self.config
        if operators.relu == 1:
            config = {**config, layout_for(config["model_type"]).activation_key: RELU}
            operators = replace(operators, relu=None)
        left = None if operators == Operators() else operators
        return replace(self, config=config, operators=left)

    def with_quantization(self, quantization: Quantization | None) -> "ArchitectureRecord":
        """The record of a network with this fake quantization."""
        return replace(self, quantization=quantization)

    def build(self) -> "PreTrainedModel":
        """The network, with random weights."""
        network = network_from_config(self.config)
        if self.layers is not None:
            for parts, shape in zip(layer_parts(network), self.layers, strict=True):
                parts.resize(shape.heads, shape.intermediate_size)
        if self.operators is not None:
            apply_operators(network, self.operators)
        if self.quantization is not None:
            apply_quantization(network, self.quantization)
        return network

    def as_plain(self) -> dict[str, Any]:
        """Plain values, safe in a ``weights_only`` checkpoint."""
        plain = {
            "version": _VERSION_OF_CONFIGURATION,
            "base_model": self.base_model,
            "config": self.config,
            "history": self.history,
        }
        if self.layers is not None:
            layers = [{**asdict(shape), "heads": list(shape.heads)} for shape in self.layers]
            plain |= {"version": _VERSION_OF_LAYERS, "layers": layers}
        if self.operators is not None:
            plain |= {"version": _VERSION_OF_OPERATORS, "operators": self.operators.as_plain()}
        if self.quantization is not None:
            plain |= {"version": RECORD_VERSION, "quantization": self.quantization.as_plain()}
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "ArchitectureRecord":
        """Rebuild a record from :meth:`as_plain`.

        Raises:
            InputError: If a newer Glint wrote it.
        """
        if plain["version"] > RECORD_VERSION:
            raise InputError(
                f"Expected an architecture record of version {RECORD_VERSION} or older, got"
                f" {plain['version']}: the checkpoint was written by a newer Glint; update."
            )
        layers = plain.get("layers")
        if layers is not None:
            layers = tuple(LayerShape(tuple(s["heads"]), s["intermediate_size"]) for s in layers)
        operators = plain.get("operators")
        if operators is not None:
            operators = Operators.from_plain(operators)
        quantization = plain.get("quantization")
        if quantization is not None:
            quantization = Quantization.from_plain(quantization)
        base_model, config, history = (plain[key] for key in ("base_model", "config", "history"))
        return cls(base_model, config, history, layers, operators, quantization)
