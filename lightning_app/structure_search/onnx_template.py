"""An exported graph whose layers can be given any size, since an export takes seconds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from lightning_app.artifact.formats import format_named
from lightning_app.artifact.manifest import Manifest
from lightning_app.commands.artifact_writers import write_network
from lightning_app.structure_search.probe_family import ProbeFamily
from modules.architecture import LayerShape
from modules.families import layer_parts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_FIRST_MARK = 2.0  # beyond any weight that is drawn
_MARK_STEP = 2.0**-6  # exact in float32
_WEIGHT_SIZE = 0.02  # as BERT's weights begin
_PREFIX = "network."


class ONNXTemplate:
    """A network of some depth as an ONNX graph. The sizes of its layers appear in the graph as
    those of constants alone, so that constants of other sizes make another network.

    A constant is known by its name, or by a number at its beginning that no other has.

    Args:
        family: What to export, as `glint export` does.
        depth: Number of layers.
        longest: Longest input, in tokens.
    """

    def __init__(self, family: ProbeFamily, depth: int, longest: int) -> None:
        self._shape = _marking_shape(family)
        network = family.build([self._shape] * depth)
        self._head_size = layer_parts(network)[0].head_size
        self._by_name, self._by_mark = _mark(network)
        self.manifest = family.manifest(network, longest)
        self._model = _exported(network, self.manifest)
        self._layer_of = self._layers_of_constants()

    def model(self, shapes: Sequence[LayerShape]) -> Any:
        """The graph of a network of random weights with these layers, as many as the depth."""
        import onnx

        resized = onnx.ModelProto()
        resized.CopyFrom(self._model)
        random = np.random.default_rng(0)
        for constant in resized.graph.initializer:
            if constant.name in self._layer_of:
                shape = shapes[self._layer_of[constant.name]]
                constant.CopyFrom(_drawn(constant, self._sizes(constant.dims, shape), random))
        return resized

    def _layers_of_constants(self) -> dict[str, int]:
        found = {}
        for constant in self._model.graph.initializer:
            layer = self._by_name.get(constant.name.rpartition(".")[0])
            mark = _first_number(constant)
            if layer is None and mark is not None:
                layer = self._by_mark.get(mark)
            if layer is not None:
                found[constant.name] = layer
        return found

    def _sizes(self, present: Sequence[int], shape: LayerShape) -> list[int]:
        new = {
            len(self._shape.heads) * self._head_size: len(shape.heads) * self._head_size,
            self._shape.intermediate_size: shape.intermediate_size,
        }
        return [new.get(size, size) for size in present]


def _marking_shape(family: ProbeFamily) -> LayerShape:
    """A shape whose sizes are none of the network's others."""
    heads = max(1, family.num_heads - 1)
    hidden = family.hidden_size
    taken = {hidden, heads * (hidden // family.num_heads)}
    return LayerShape(tuple(range(heads)), next(n for n in range(5, 99) if n not in taken))


@torch.no_grad()
def _mark(network: "PreTrainedModel") -> tuple[dict[str, int], dict[float, int]]:
    """Layers of the linear modules, by name and by the number that their weights begin with."""
    names = {id(module): name for name, module in network.named_modules()}
    by_name: dict[str, int] = {}
    by_mark: dict[float, int] = {}
    for layer, parts in enumerate(layer_parts(network)):
        for linear in (m for m in parts.layer.modules() if isinstance(m, nn.Linear)):
            by_name[_PREFIX + names[id(linear)]] = layer
            for parameter in linear.parameters():
                mark = _FIRST_MARK + len(by_mark) * _MARK_STEP
                by_mark[mark] = layer
                parameter.normal_(0, _WEIGHT_SIZE)  # equal constants would become one
                parameter.view(-1)[0] = mark
    return by_name, by_mark


def _exported(network: "PreTrainedModel", manifest: Manifest) -> Any:
    import onnx

    written_as = "onnx-int8" if format_named(manifest.format).is_int8 else "onnx"
    with TemporaryDirectory() as folder:
        write_network(network, replace(manifest, format=written_as), Path(folder))
        return onnx.load(str(Path(folder) / "model.onnx"))


def _first_number(constant: Any) -> float | None:
    from onnx import TensorProto, numpy_helper

    if constant.data_type != TensorProto.FLOAT or not constant.dims:
        return None
    return float(numpy_helper.to_array(constant).flat[0])


def _drawn(constant: Any, sizes: list[int], random: np.random.Generator) -> Any:
    """A constant of these sizes, of numbers like those that it holds."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(constant)
    new: np.ndarray[tuple[int, ...], np.dtype[Any]]
    if values.dtype == np.int8:
        new = random.integers(-127, 128, sizes, dtype=np.int8)
    elif constant.name.endswith((".scales", "_scale")):
        new = np.full(sizes, values.flat[-1], values.dtype)
    elif values.dtype == np.float32 and sizes:
        new = random.standard_normal(sizes, dtype=np.float32) * np.float32(_WEIGHT_SIZE)
    else:
        new = values
    return numpy_helper.from_array(new, constant.name)
