"""Make an encoder smaller: fewer heads, fewer FFN neurons, fewer layers; and count what is left."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lightning_app.errors import InputError
from modules.architecture import LayerShape
from modules.fake_quantization import without_fake_quantization
from modules.families import LayerParts, layer_parts, layout_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def layer_shapes(network: "PreTrainedModel") -> tuple[LayerShape, ...]:
    """The shape of each encoder layer as it is now."""
    return tuple(LayerShape(p.heads, p.intermediate_size) for p in layer_parts(network))


def remove_heads_and_neurons(
    network: "PreTrainedModel", heads: Sequence[Sequence[int]], neurons: Sequence[Sequence[int]]
) -> None:
    """Take attention heads and FFN neurons out of the weights, in place.

    The network computes what it computed with these heads and neurons multiplied by zero
    (`modules.gates.gates_closed`). Coupled weights are found by torch-pruning's dependency graph
    (Fang et al. 2023, "DepGraph: Towards Any Structural Pruning", arXiv:2301.12900).

    The weights that change become new `Parameter` objects: an optimizer made before holds the old
    ones. Names, dtype, device, ``requires_grad``, ``grad`` and mode stay. Hooks that know the
    old widths must be off.

    Args:
        network: Of a family in `modules.families.FAMILIES`.
        heads: For each layer the heads to remove, by their present position.
        neurons: For each layer the FFN neurons to remove, by their present position.

    Raises:
        InputError: If a layer would lose all its heads or neurons, or a position does not exist;
            nothing has changed then.
    """
    layers = layer_parts(network)
    _check_positions("heads", heads, [parts.num_heads for parts in layers])
    _check_positions("neurons", neurons, [parts.intermediate_size for parts in layers])
    with _plain_attention(network):
        for parts, layer_heads, layer_neurons in zip(layers, heads, neurons, strict=True):
            if layer_heads or layer_neurons:
                _prune_layer(parts, sorted(layer_heads), sorted(layer_neurons))
    _note_sizes(network)


def keep_layers(network: "PreTrainedModel", layers: Sequence[int]) -> None:
    """Keep these encoder layers and drop the others, in place.

    Sajjad et al. 2020, "On the Effect of Dropping Layers of Pre-trained Transformer Models"
    (arXiv:2004.03844): dropping the upper ones costs least. The first-token shortcut belongs to
    the last layer: remove it before, and set it up again after.

    Args:
        network: Of a family in `modules.families.FAMILIES`.
        layers: Present positions, ascending.
    """
    layout = layout_of(network)
    present = network.base_model.get_submodule(layout.layers)
    assert isinstance(present, nn.ModuleList)
    if not layers or list(layers) != sorted(set(layers) & set(range(len(present)))):
        raise InputError(
            f"Expected `layers` to be one or more positions in [0, {len(present)}) in ascending"
            f" order, got {list(layers)}."
        )
    for position in reversed(range(len(present))):
        if position not in layers:
            del present[position]
    for position, parts in enumerate(layer_parts(network)):
        if hasattr(parts.attention, "layer_idx"):
            parts.attention.layer_idx = position  # type: ignore[assignment]  # a plain value
    _note_sizes(network)


def encoder_parameters(shapes: Iterable[LayerShape], hidden_size: int, head_size: int) -> int:
    """Number of parameters of the encoder's layers.

    Counted are weights and biases of the six linear layers and of the two LayerNorms of each
    layer; not counted are embeddings, pooler, classifier and MPNet's table of relative positions.
    """
    total = 0
    for shape in shapes:
        channels = len(shape.heads) * head_size
        attention = 4 * hidden_size * channels + 3 * channels + hidden_size
        ffn = 2 * hidden_size * shape.intermediate_size + shape.intermediate_size + hidden_size
        total += attention + ffn + 4 * hidden_size
    return total


def encoder_flops(
    shapes: Iterable[LayerShape], hidden_size: int, head_size: int, seq_length: int
) -> int:
    """Floating-point operations of the encoder's layers in a forward pass of one sequence.

    Counted are the matrix products, a multiplication and an addition each as two: the
    projections to queries, keys and values and back, scores (queries by keys), attended values
    (probabilities by values), and the FFN, for all tokens in all layers (the first-token shortcut
    computes less in the last). Not counted are biases, softmax, activations and LayerNorms, nor
    anything outside the layers.
    """
    total = 0
    for shape in shapes:
        channels = len(shape.heads) * head_size
        projections = 4 * seq_length * hidden_size * channels
        scores_and_values = 2 * seq_length * seq_length * channels
        ffn = 2 * seq_length * hidden_size * shape.intermediate_size
        total += 2 * (projections + scores_and_values + ffn)
    return total


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode within; after it each submodule is in the mode that it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _check_positions(name: str, positions: Sequence[Sequence[int]], present: Sequence[int]) -> None:
    if len(positions) != len(present):
        raise InputError(
            f"Expected `{name}` to have one list for each of the {len(present)} layers, got"
            f" {len(positions)}."
        )
    for layer, (removed, count) in enumerate(zip(positions, present, strict=True)):
        if len(set(removed)) < len(removed) or not set(removed) <= set(range(count)):
            raise InputError(
                f"Expected `{name}` of layer {layer} to be different positions in [0, {count}),"
                f" got {list(removed)}."
            )
        if len(removed) == count:
            raise InputError(
                f"Expected `{name}` to leave at least one of the {count} {name} of layer {layer},"
                " got all of them; keep one, or drop the whole layer with `keep_layers`."
            )


def _prune_layer(parts: LayerParts, heads: list[int], neurons: list[int]) -> None:
    size, ffn = parts.head_size, {parts.intermediate, parts.output}
    attention = {parts.query, parts.key, parts.value, parts.attention_output}
    channels = [head * size + channel for head in heads for channel in range(size)]
    with _traceable(parts.layer):
        graph = _dependency_graph(parts)
        _prune_outputs(graph, parts.query, channels, attention)
        _prune_outputs(graph, parts.intermediate, neurons, ffn)
    if heads:
        parts.set_heads(tuple(h for i, h in enumerate(parts.heads) if i not in heads))


def _prune_outputs(
    graph: Any, root: nn.Linear, indices: list[int], expected: set[nn.Linear]
) -> None:
    """Remove these outputs of ``root``, with all that depends on them: ``expected``."""
    from torch_pruning import prune_linear_out_channels  # type: ignore[import-untyped]

    if not indices:
        return
    group = graph.get_pruning_group(root, prune_linear_out_channels, indices)
    touched = {item.dep.target.module for item in group}
    weighty = {module for module in touched if next(module.parameters(), None) is not None}
    assert weighty == expected, f"removing outputs would also touch {weighty - expected}"
    group.prune(record_history=False)


def _dependency_graph(parts: LayerParts) -> Any:
    """Traced through the layer alone: what couples layers (residuals) is not pruned."""
    from torch_pruning import DependencyGraph

    weight = parts.query.weight
    hidden = torch.zeros(1, 3, weight.shape[1], dtype=weight.dtype, device=weight.device)
    return DependencyGraph().build_dependency(
        parts.layer,
        {},
        forward_fn=lambda layer, _: layer(hidden),
        unwrapped_parameters=[],
        customized_pruners={},
        ignored_layers=[],
        ignored_params=[],
        verbose=False,
    )


@contextmanager
def _traceable(layer: nn.Module) -> Iterator[None]:
    """With a gradient for each parameter, which the trace follows; no dropout, no rounding."""
    wanted = {name: parameter.requires_grad for name, parameter in layer.named_parameters()}
    layer.requires_grad_(True)
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            evaluation_mode(layer),
            without_fake_quantization(layer),
        ):
            yield
    finally:
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(wanted[name])


@contextmanager
def _plain_attention(network: "PreTrainedModel") -> Iterator[None]:
    """Attention of plain operations, which the trace can follow, in place of a fused one."""
    name = network.config._attn_implementation
    network.config._attn_implementation = "eager"
    try:
        yield
    finally:
        network.config._attn_implementation = name


def _note_sizes(network: "PreTrainedModel") -> None:
    """Bring the configuration up to date, as `ArchitectureRecord.with_shapes` words it."""
    layout, shapes = layout_of(network), layer_shapes(network)
    setattr(network.config, layout.num_layers_key, len(shapes))
    width = max(shape.intermediate_size for shape in shapes)
    setattr(network.config, layout.intermediate_size_key, width)
