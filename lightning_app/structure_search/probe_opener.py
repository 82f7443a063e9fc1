"""Open networks of random weights in the runtime that is to be measured."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning_app.artifact.runtime import RuntimeOptions, float32_format
from lightning_app.artifact.text_model import Network
from lightning_app.artifact.weights_network import WeightsNetwork
from lightning_app.commands.artifact_writers import write_network
from lightning_app.functional.latency_model import Sizes
from lightning_app.structure_search.onnx_template import ONNXTemplate
from lightning_app.structure_search.probe_family import ProbeFamily
from modules.architecture import LayerShape


class ProbeOpener:
    """Opens networks of any structure as an artifact of them would be opened.

    Args:
        family: Their sizes and format.
        threads: To compute with.
        longest: Longest input, in tokens.
    """

    def __init__(self, family: ProbeFamily, threads: int, longest: int) -> None:
        self._family = family
        self._options = RuntimeOptions(threads, calls_before_copy=0)
        self._longest = longest
        self._templates: dict[int, ONNXTemplate] = {}

    def open(self, layers: Sequence[Sizes]) -> Network:
        """A network with layers of these heads and widths, ready to compute."""
        shapes = [LayerShape(tuple(range(heads)), width) for heads, width in layers]
        kind = float32_format(self._family.format)
        if kind == "hf":
            return WeightsNetwork(self._family.build(shapes), self._options.threads)
        with TemporaryDirectory() as folder:
            manifest = self._written(kind, shapes, Path(folder))
            opener: Any = import_module(f"lightning_app.artifact.{_OPENERS[kind]}")
            network: Network = opener.open_network(Path(folder), manifest, self._options)
        return network

    def _written(self, kind: str, shapes: Sequence[LayerShape], folder: Path) -> Any:
        if kind == "torch":
            network = self._family.build(shapes)
            manifest = self._family.manifest(network, self._longest)
            write_network(network, manifest, folder)
            return manifest
        template = self._template(len(shapes))
        _write_model(kind, template.model(shapes), folder)
        return template.manifest

    def _template(self, depth: int) -> ONNXTemplate:
        if depth not in self._templates:
            self._templates[depth] = ONNXTemplate(self._family, depth, self._longest)
        return self._templates[depth]


_OPENERS = {"torch": "program_network", "onnx": "onnx_network", "openvino": "openvino_network"}


def _write_model(kind: str, model: Any, folder: Path) -> None:
    import onnx

    file = folder / "model.onnx"
    onnx.save(model, str(file))
    if kind == "openvino":
        import openvino

        read = openvino.Core().read_model(str(file))
        openvino.save_model(read, str(folder / "model.xml"), compress_to_fp16=False)
