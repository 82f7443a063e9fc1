"""Run a folder of format `openvino`, on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_app.artifact.manifest import Manifest
from lightning_app.artifact.text_encoder import Batch
from lightning_app.errors import InputError


class OpenVINONetwork:
    """A model compiled by OpenVINO.

    Args:
        compiled: With the manifest's inputs, and logits as its one output.
    """

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits ``[batch, num_labels]``."""
        found = self._request.infer(batch)
        logits: npt.NDArray[np.float32] = np.array(next(iter(found.values())))
        return logits


_GROUP_SIZE = 32
"""OpenVINO's own default."""


def open_network(folder: Path, manifest: Manifest, threads: int | None) -> OpenVINONetwork:
    """Read and compile; the files name no library of operators, and none is added."""
    import openvino

    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # By itself OpenVINO computes in bfloat16 where the processor can, with other logits.
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": _rounded_together(manifest),
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    file = folder / "model.xml"
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(str(file)), "CPU", options)
    except RuntimeError as error:
        raise InputError(
            f"Expected an OpenVINO model in {str(file)!r}, but:"
            f" {' '.join(str(error).split())[:200]}."
        ) from error
    return OpenVINONetwork(compiled)


def _rounded_together(manifest: Manifest) -> int:
    """How many activations of a token OpenVINO gives a scale of their own; 0 to round none.

    By itself it rounds them wherever weights are integers.
    """
    return _GROUP_SIZE if "dynamic" in manifest.schemes else 0
