"""Open an exported folder of any format."""

from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Protocol, cast

from lightning_app.artifact.formats import TOKENIZER, format_named
from lightning_app.artifact.integrity import check_files
from lightning_app.artifact.manifest import Manifest, read_manifest
from lightning_app.artifact.runtime import MAX_COPIES, RuntimeOptions
from lightning_app.artifact.text_encoder import TextEncoder
from lightning_app.artifact.text_model import Network, TextModel
from lightning_app.optional_packages import require

# Each is imported when a folder of its format is opened.
_OPENERS = {
    "hf": "lightning_app.artifact.weights_network",
    "torch": "lightning_app.artifact.program_network",
    "onnx": "lightning_app.artifact.onnx_network",
    "openvino": "lightning_app.artifact.openvino_network",
    "onnx-int8": "lightning_app.artifact.onnx_network",
    "openvino-int8": "lightning_app.artifact.openvino_network",
}


class _Opener(Protocol):
    def open_network(
        self, folder: Path, manifest: Manifest, options: RuntimeOptions
    ) -> Network: ...


def open_artifact(
    folder: str | PathLike[str], threads: int | None = None, max_copies: int = MAX_COPIES
) -> TextModel:
    """See `lightning_app.load`."""
    options = RuntimeOptions(threads, max_copies)
    path = Path(folder)
    manifest = read_manifest(path)
    kind = format_named(manifest.format)
    check_files(path, manifest)
    require(kind.to_run, kind.group, f"an artifact of format {manifest.format}")
    encoder = TextEncoder(
        path / TOKENIZER, manifest.max_seq_length, manifest.inputs, manifest.padding
    )
    opener = cast(_Opener, import_module(_OPENERS[manifest.format]))
    return TextModel(path, manifest, encoder, opener.open_network(path, manifest, options))
