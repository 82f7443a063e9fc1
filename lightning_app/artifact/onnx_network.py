"""Run a folder of format `onnx`, with ONNX Runtime on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_app.artifact.formats import format_named
from lightning_app.artifact.manifest import Manifest
from lightning_app.artifact.runtime import RuntimeOptions
from lightning_app.artifact.text_encoder import Batch
from lightning_app.errors import InputError
from lightning_app.processor import Processor

_ERRORS_ONLY = 3
_EXACT_SUMS = "session.x64quantprecision"


class ONNXNetwork:
    """A session of ONNX Runtime.

    Args:
        session: With the manifest's inputs, and logits as its one output.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits ``[batch, num_labels]``."""
        (logits,) = self._session.run(None, batch)
        return logits  # type: ignore[no-any-return]


def open_network(folder: Path, manifest: Manifest, options: RuntimeOptions) -> ONNXNetwork:
    """Open a session; the file names no library of operators, and none is registered."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = _ERRORS_ONLY
    session_options.intra_op_num_threads = options.threads or 0  # 0: as many as there are cores
    session_options.inter_op_num_threads = 1
    if format_named(manifest.format).is_int8 and not Processor.here().has_fast_int8:
        # Else its sums of 8-bit products saturate at 16 bits. It is slower, but never wrong.
        session_options.add_session_config_entry(_EXACT_SUMS, "1")
    file = folder / "model.onnx"
    try:
        session = onnxruntime.InferenceSession(
            str(file), session_options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the library raises many kinds
        raise InputError(
            f"Expected an ONNX model in {str(file)!r}, but: {' '.join(str(error).split())[:200]}."
        ) from error
    return ONNXNetwork(session)
