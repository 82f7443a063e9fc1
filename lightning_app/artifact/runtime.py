"""What computes an artifact."""

from dataclasses import dataclass

from lightning_app.errors import InputError
from lightning_app.optional_packages import installed_version

INT8 = "-int8"
"""At the end of the names of formats that compute in 8-bit integers."""

MAX_COPIES = 8
CALLS_BEFORE_COPY = 16

_RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}


@dataclass(frozen=True)
class RuntimeOptions:
    """How an artifact is opened.

    Args:
        threads: To compute with; None leaves the choice to the runtime.
        max_copies: Of an OpenVINO model, see `lightning_app.load`; other runtimes make none.
        calls_before_copy: Of a length, before its copy is compiled.

    Raises:
        InputError: If one is out of its range.
    """

    threads: int | None = None
    max_copies: int = MAX_COPIES
    calls_before_copy: int = CALLS_BEFORE_COPY

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"Expected `threads` to be at least 1, got {self.threads}.")
        if not 0 <= self.max_copies <= MAX_COPIES:
            raise InputError(
                f"Expected `max_copies` to be in [0, {MAX_COPIES}], got {self.max_copies}."
            )


def float32_format(format: str) -> str:
    """The format that runs on the same runtime and computes in float32; itself, if it does."""
    return format.removesuffix(INT8)


def makes_copies(format: str) -> bool:
    """Whether single rows of a format are computed by copies of the model for fixed lengths."""
    return float32_format(format) == "openvino"


def runtime_version(format: str) -> str:
    """The package that computes a format, with its version: ``onnxruntime 1.23.2``."""
    package = _RUNTIMES.get(float32_format(format), "torch")
    return f"{package} {installed_version(package) or 'of unknown version'}"
