"""What each layer takes of a budget, by its heads and FFN width."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from lightning_app.artifact.formats import format_named
from lightning_app.functional.latency_model import LatencyModel, Sizes
from modules.families import LayerParts, layer_parts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MB = 10**6
_BYTES_OF_FLOAT = 4
_BYTES_OF_INTEGER = 1


@dataclass(frozen=True)
class StructurePrices:
    """Prices in the unit of a budget; those of parts add up to that of the whole.

    Args:
        fixed: Of what is outside the layers.
        layer: Of a layer that is not the last, by its present position and its sizes then.
        last: Of a layer that becomes the last one, likewise.
    """

    fixed: float
    layer: Callable[[int, Sizes], float]
    last: Callable[[int, Sizes], float]

    def total(self, kept: Sequence[tuple[int, Sizes]]) -> float:
        """Of a whole network.

        Args:
            kept: Present positions of the layers that stay, bottom first, at least one, with what
                becomes of each.
        """
        inner = sum(self.layer(position, sizes) for position, sizes in kept[:-1])
        return self.fixed + inner + self.last(*kept[-1])

    @classmethod
    def of_time(cls, model: LatencyModel) -> "StructurePrices":
        """Milliseconds of a forward call."""
        return cls(
            model.fixed,
            lambda _, sizes: model.layer_ms(sizes),
            lambda _, sizes: model.last_layer_ms(sizes),
        )

    @classmethod
    def of_parameters(cls, network: "PreTrainedModel") -> "StructurePrices":
        """Parameters."""
        return cls._of_weights(network, lambda weights: weights.parameters)

    @classmethod
    def of_size(cls, network: "PreTrainedModel", runtime: str) -> "StructurePrices":
        """Megabytes of the weights in a format of `glint export`.

        In int8 formats matrices of the encoder's layers and embeddings are integers, with one
        scale for each output or word, as `glint quantize` makes them by default.
        """
        is_int8 = format_named(runtime).is_int8
        return cls._of_weights(network, lambda weights: weights.size(is_int8) / _MB)

    @classmethod
    def _of_weights(
        cls, network: "PreTrainedModel", price: Callable[["_Weights"], float]
    ) -> "StructurePrices":
        layers = layer_parts(network)
        inside = {id(p) for parts in layers for p in parts.layer.parameters()}

        def of_layer(position: int, sizes: Sizes) -> float:
            return price(_weights_of_layer(layers[position], sizes))

        return cls(price(_weights_outside(network, inside)), of_layer, of_layer)


@dataclass(frozen=True)
class _Weights:
    """How many.

    Args:
        integers: Entries of matrices that may become integers.
        scales: Outputs or words of those matrices.
        floats: The others.
    """

    integers: int
    scales: int
    floats: int

    @property
    def parameters(self) -> int:
        return self.integers + self.floats

    def size(self, is_int8: bool) -> int:
        """Bytes."""
        if not is_int8:
            return _BYTES_OF_FLOAT * self.parameters
        return _BYTES_OF_INTEGER * self.integers + _BYTES_OF_FLOAT * (self.scales + self.floats)


def _weights_of_layer(parts: LayerParts, sizes: Sizes) -> _Weights:
    heads, width = sizes
    hidden, channels = parts.query.in_features, heads * parts.head_size
    linears = (
        *(parts.query, parts.key, parts.value, parts.attention_output),
        *(parts.intermediate, parts.output),
    )
    present = sum(linear.weight.numel() for linear in linears)
    floats = sum(p.numel() for p in parts.layer.parameters()) - present
    biases = (parts.num_heads - heads) * parts.head_size * _with_bias(
        parts.query, parts.key, parts.value
    ) + (parts.intermediate_size - width) * _with_bias(parts.intermediate)
    return _Weights(
        integers=4 * hidden * channels + 2 * hidden * width,
        scales=3 * channels + width + 2 * hidden,
        floats=floats - biases,
    )


def _with_bias(*linears: nn.Linear) -> int:
    return sum(linear.bias is not None for linear in linears)


def _weights_outside(network: "PreTrainedModel", inside: set[int]) -> _Weights:
    tables = [m.weight for m in network.modules() if isinstance(m, nn.Embedding)]
    entries = sum(table.numel() for table in tables)
    others = sum(p.numel() for p in network.parameters() if id(p) not in inside)
    return _Weights(entries, sum(len(table) for table in tables), others - entries)
