"""Networks of random weights that are built only to be timed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from lightning_app.artifact.formats import format_named
from lightning_app.artifact.manifest import Manifest, Padding
from lightning_app.artifact.text_encoder import Batch
from lightning_app.functional.latency_model import Sizes
from lightning_app.task import Task
from modules.acceleration import accelerate
from modules.architecture import ArchitectureRecord, LayerShape
from modules.fake_quantization import apply_quantization
from modules.families import layer_parts, layout_for
from modules.network_inputs import NETWORK_INPUTS
from modules.quantization import ModuleQuantization, Quantization
from modules.structure import encoder_parameters

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_VOCABULARY = 4096
"""A table of all words takes memory in each of dozens of networks, and no time to speak of."""

_ACTIVATIONS = ModuleQuantization("static", activation_range=(-4.0, 4.0))
_EMBEDDING = ModuleQuantization("weight_only")
_FIRST_WORD = 5  # behind what families keep for padding and separators
_WITHOUT_TYPES = ("distilbert", "roberta", "xlm-roberta", "camembert", "mpnet")


@dataclass(frozen=True)
class ProbeFamily:
    """All networks of a base model's sizes with layers of any shape, for one runtime.

    Args:
        base: Record of the base model.
        format: A format of `glint export`; integers are those of `glint quantize` by default:
            static activations, and embeddings.
    """

    base: ArchitectureRecord
    format: str

    @property
    def num_layers(self) -> int:
        """Of the base model."""
        return int(self.base.config[layout_for(self.base.config["model_type"]).num_layers_key])

    @property
    def num_heads(self) -> int:
        """Of each of its layers."""
        return int(self.base.config[layout_for(self.base.config["model_type"]).num_heads_key])

    @property
    def width(self) -> int:
        """Of the FFNs of the base model."""
        layout = layout_for(self.base.config["model_type"])
        return int(self.base.config[layout.intermediate_size_key])

    @property
    def hidden_size(self) -> int:
        """Of the encoder."""
        return int(self.base.config.get("hidden_size") or self.base.config["dim"])

    @property
    def is_int8(self) -> bool:
        """Whether the runtime computes with integers."""
        return format_named(self.format).is_int8

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the networks read, as their tokenizers make it."""
        no_types = self.base.config["model_type"] in _WITHOUT_TYPES
        return NETWORK_INPUTS[:2] if no_types else NETWORK_INPUTS

    @property
    def vocabulary(self) -> int:
        """Words of the networks."""
        return min(int(self.base.config["vocab_size"]), MAX_VOCABULARY)

    def bytes_of(self, layers: Sequence[Sizes], num_copies: int = 0) -> int:
        """Memory that an opened network takes, about: runtimes keep weights twice.

        Args:
            layers: Heads and FFN width of each.
            num_copies: Of it for fixed lengths.
        """
        shapes = [LayerShape(tuple(range(heads)), width) for heads, width in layers]
        head_size = self.hidden_size // self.num_heads
        weights = encoder_parameters(shapes, self.hidden_size, head_size) * (
            1 if self.is_int8 else 4
        )
        return (2 + num_copies) * (weights + 4 * self.vocabulary * self.hidden_size)

    def batch(self, batch_size: int, length: int) -> Batch:
        """Rows of tokens drawn at random, without padding."""
        tokens = np.random.default_rng(0).integers(
            min(_FIRST_WORD, self.vocabulary - 1), self.vocabulary, (batch_size, length)
        )
        columns = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        return {name: columns.get(name, np.zeros_like(tokens)) for name in self.inputs}

    def build(self, shapes: Sequence[LayerShape]) -> "PreTrainedModel":
        """A network as `glint export` writes it, in evaluation mode."""
        config = {**self.base.config, "vocab_size": self.vocabulary}
        record = replace(self.base, config=config, layers=None, quantization=None, operators=None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = record.with_shapes(shapes).build()
        network.eval()  # type: ignore[no-untyped-call]
        accelerate(network)
        if self.is_int8:
            apply_quantization(network, _made_up_quantization(network))
        return network

    def manifest(self, network: "PreTrainedModel", longest: int) -> Manifest:
        """What the writers and openers of artifacts want to know."""
        quantization = _made_up_quantization(network)
        record = replace(self.base, history=[], quantization=quantization)
        labels = tuple(map(str, range(network.config.num_labels or 1)))
        return Manifest(
            format=self.format,
            task=Task("latency", ("text",), labels, "single_label_classification", (), ()),
            architecture=record.as_plain(),
            layout=record.layout,
            max_seq_length=longest,
            inputs=self.inputs,
            padding=Padding(0, 0, "right"),
            parameters=sum(p.numel() for p in network.parameters()),
            nonzero_parameters=0,
            checkpoint={},
            samples=(),
            tolerance=0.0,
            versions={},
        )


def _made_up_quantization(network: "PreTrainedModel") -> Quantization:
    inside = {id(m) for parts in layer_parts(network) for m in parts.layer.modules()}
    modules = {
        name: _EMBEDDING if isinstance(module, nn.Embedding) else _ACTIVATIONS
        for name, module in network.named_modules()
        if isinstance(module, nn.Embedding)
        or (isinstance(module, nn.Linear) and id(module) in inside)
    }
    return Quantization(modules)
