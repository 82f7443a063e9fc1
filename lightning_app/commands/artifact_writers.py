"""Write a network down in each format."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lightning_app.artifact.manifest import Manifest
from lightning_app.commands.exported_program import export_program, program_bytes
from lightning_app.commands.integer_modules import use_integers
from lightning_app.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_OPSET = 20  # the first with GELU, so that it stays one operator
_MAX_FILE_BYTES = 2**31 - 2**20  # of protobuf, less what is beside the weights
_BYTES_A_PARAMETER = 4


def write_network(network: "PreTrainedModel", manifest: Manifest, folder: Path) -> None:
    """Write the model files of the manifest's format.

    Args:
        network: Is changed.
        manifest: Says the format, and what the network reads.
        folder: Where to.
    """
    _WRITERS[manifest.format](network, manifest, folder)


def _write_weights(network: "PreTrainedModel", manifest: Manifest, folder: Path) -> None:
    from safetensors.torch import save_file

    # Copies, since tensors that share memory are refused.
    weights = {k: t.detach().float().contiguous().clone() for k, t in _state(network)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if manifest.is_plain_transformers:
        network.config.architectures = [type(network).__name__]
        network.config.save_pretrained(folder)


def _state(network: "PreTrainedModel") -> Any:
    return network.state_dict().items()


def _write_program(network: "PreTrainedModel", manifest: Manifest, folder: Path) -> None:
    program = export_program(network, manifest.inputs, manifest.max_seq_length)
    (folder / "model.pt2").write_bytes(program_bytes(program))


def _write_onnx(network: "PreTrainedModel", manifest: Manifest, folder: Path) -> None:
    _write_onnx_file(network, manifest, folder / "model.onnx")


def _write_openvino(network: "PreTrainedModel", manifest: Manifest, folder: Path) -> None:
    import openvino

    with TemporaryDirectory() as between:
        file = Path(between) / "model.onnx"
        _write_onnx_file(network, manifest, file)
        model = openvino.Core().read_model(str(file))
        openvino.save_model(model, str(folder / "model.xml"), compress_to_fp16=False)
        del model  # it maps the file


def _write_onnx_int8(network: "PreTrainedModel", manifest: Manifest, folder: Path) -> None:
    use_integers(network, explicit_tokens=True)
    _write_onnx(network, manifest, folder)


def _write_openvino_int8(network: "PreTrainedModel", manifest: Manifest, folder: Path) -> None:
    # It rounds the activations of each token by itself, and reads no graph that does.
    use_integers(network, explicit_tokens=False)
    _write_openvino(network, manifest, folder)


def _write_onnx_file(network: "PreTrainedModel", manifest: Manifest, file: Path) -> None:
    import onnx
    import torch

    _check_size(manifest)
    with _without_advice():
        program = export_program(network, manifest.inputs, manifest.max_seq_length)
        written: Any = torch.onnx.export(
            program,
            input_names=list(manifest.inputs),
            output_names=["logits"],
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        written.save(str(file), external_data=False)
    model = onnx.load(str(file))
    _forget_this_machine(model.graph)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(file))


def _forget_this_machine(graph: Any) -> None:
    """Drop stack traces, which name folders, and inferred shapes, which runtimes infer anew."""
    for node in graph.node:
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.initializer):
        del value.metadata_props[:]
    del graph.metadata_props[:]
    del graph.value_info[:]


def _check_size(manifest: Manifest) -> None:
    size = manifest.parameters * _BYTES_A_PARAMETER
    if size > _MAX_FILE_BYTES:
        raise InputError(
            f"Expected a network of at most {_MAX_FILE_BYTES // _BYTES_A_PARAMETER:,} parameters"
            f" for format {manifest.format}, whose file ends at 2 GB, got"
            f" {manifest.parameters:,}; choose `--format hf` or `torch`."
        )


@contextmanager
def _without_advice() -> Iterator[None]:
    """Without the exporter's word on packages that a text model does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


_WRITERS = {
    "hf": _write_weights,
    "torch": _write_program,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "onnx-int8": _write_onnx_int8,
    "openvino-int8": _write_openvino_int8,
}
