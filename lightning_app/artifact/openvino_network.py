"""Run a folder of format `openvino`, on the CPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_app.artifact.length_copies import LengthCopies
from lightning_app.artifact.manifest import Manifest
from lightning_app.artifact.runtime import RuntimeOptions
from lightning_app.artifact.text_encoder import Batch
from lightning_app.errors import InputError


class OpenVINONetwork:
    """A model compiled by OpenVINO.

    Args:
        compiled: With the manifest's inputs, and logits as its one output.
        copies: Of it, for single rows.
    """

    def __init__(self, compiled: Any, copies: LengthCopies) -> None:
        self._request = compiled.create_infer_request()
        self._copies = copies

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits ``[batch, num_labels]``."""
        request, inputs = self._copies.find(batch) or (self._request, batch)
        logits: npt.NDArray[np.float32] = np.array(next(iter(request.infer(inputs).values())))
        return logits


_GROUP_SIZE = 32
"""OpenVINO's own default."""

_MAX_BYTES_OF_COPIES = 512 * 2**20
"""By the size of the file. Of large models copies would save little, and take gigabytes."""


def open_network(folder: Path, manifest: Manifest, options: RuntimeOptions) -> OpenVINONetwork:
    """Read and compile; the files name no library of operators, and none is added."""
    import openvino

    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # By itself OpenVINO computes in bfloat16 where the processor can, with other logits.
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": _rounded_together(manifest),
    }
    if options.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = options.threads
    file = folder / "model.xml"
    try:
        core = openvino.Core()
        model = core.read_model(str(file))
        compiled = core.compile_model(model, "CPU", properties)
    except RuntimeError as error:
        raise InputError(
            f"Expected an OpenVINO model in {str(file)!r}, but:"
            f" {' '.join(str(error).split())[:200]}."
        ) from error
    copies = LengthCopies(
        _copier(core, model, properties),
        manifest.padding,
        manifest.max_seq_length,
        min(options.max_copies, _MAX_BYTES_OF_COPIES // file.with_suffix(".bin").stat().st_size),
        options.calls_before_copy,
    )
    return OpenVINONetwork(compiled, copies)


def _copier(core: Any, model: Any, properties: dict[str, Any]) -> Callable[[int], Any]:
    def compiled_for(length: int) -> Any:
        copy = model.clone()
        copy.reshape({port.any_name: [1, length] for port in copy.inputs})
        return core.compile_model(copy, "CPU", properties).create_infer_request()

    return compiled_for


def _rounded_together(manifest: Manifest) -> int:
    """How many activations of a token OpenVINO gives a scale of their own; 0 to round none.

    By itself it rounds them wherever weights are integers.
    """
    return _GROUP_SIZE if "dynamic" in manifest.schemes else 0
