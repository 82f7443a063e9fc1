"""What computes an artifact."""

from lightning_app.optional_packages import installed_version

INT8 = "-int8"
"""At the end of the names of formats that compute in 8-bit integers."""

_RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}


def float32_format(format: str) -> str:
    """The format that runs on the same runtime and computes in float32; itself, if it does."""
    return format.removesuffix(INT8)


def runtime_version(format: str) -> str:
    """The package that computes a format, with its version: ``onnxruntime 1.23.2``."""
    package = _RUNTIMES.get(float32_format(format), "torch")
    return f"{package} {installed_version(package) or 'of unknown version'}"
