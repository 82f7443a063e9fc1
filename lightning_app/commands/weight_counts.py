"""How many weights of an artifact's file are not zero."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_app.artifact.text_model import TextModel


def nonzero_weights(model: "TextModel") -> int | None:
    """Counted in the file, or in what was loaded of it.

    Args:
        model: An opened artifact.

    Returns:
        None where they cannot be told from other numbers: in a format that holds them otherwise
        (8-bit integers, OpenVINO's), or without the package that reads it.
    """
    if model.manifest.format == "onnx":
        return _nonzero_in_onnx(model.folder / "model.onnx", model.manifest.parameters)
    if model.manifest.format in ("hf", "torch", "eager", "compile"):
        return _nonzero_in_module(model.network, model.manifest.parameters)
    return None


def _nonzero_in_module(network: Any, expected: int) -> int | None:
    parameters = list(network.module.parameters())
    if sum(p.numel() for p in parameters) != expected:
        return None
    return sum(int(p.count_nonzero()) for p in parameters)


def _nonzero_in_onnx(file: Path, expected: int) -> int | None:
    from lightning_app.optional_packages import missing

    if missing(["onnx"]):
        return None
    import numpy as np
    import onnx

    arrays = map(onnx.numpy_helper.to_array, onnx.load(str(file)).graph.initializer)
    # Of no dimension are the constants of formulas.
    weights = [array for array in arrays if array.dtype.kind == "f" and array.ndim]
    if sum(array.size for array in weights) != expected:
        return None
    return sum(int(np.count_nonzero(array)) for array in weights)
