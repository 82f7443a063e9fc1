"""The formats of `glint export`."""

from dataclasses import dataclass, replace

from lightning_app.errors import InputError

TOKENIZER = "tokenizer.json"
CARD = "README.md"


@dataclass(frozen=True)
class Format:
    """A way to write a model down.

    Args:
        model_files: That hold the network.
        tolerance: By how much a logit may differ from the checkpoint's, as a share of the largest
            logit, or of 1 where all are smaller.
        optional_files: That other programs read beside them.
        group: Optional dependencies of `glint-text` that it needs; None for none.
        is_int8: Whether it holds integers, and wants a record with a quantization.
        to_run: Their packages without which it cannot be opened.
        to_write: Those without which it cannot be written.
    """

    model_files: tuple[str, ...]
    tolerance: float
    optional_files: tuple[str, ...] = ()
    group: str | None = None
    is_int8: bool = False
    to_run: tuple[str, ...] = ()
    to_write: tuple[str, ...] = ()

    @property
    def required_files(self) -> frozenset[str]:
        """Without these there is no artifact."""
        return frozenset({*self.model_files, TOKENIZER, CARD})

    @property
    def known_files(self) -> frozenset[str]:
        """No other file belongs into the folder, beside the manifest."""
        return self.required_files | set(self.optional_files)


_FOR_TRANSFORMERS = ("config.json", "tokenizer_config.json")
_ONNX_WRITERS = ("onnx", "onnxscript")
_OF_ROUNDING = 0.2

# PyTorch's own kernels differ in the order of their sums; other runtimes also in their
# approximations of exp, erf and tanh. With integers such a difference makes an activation here and
# there round the other way, a whole step apart. Of 872 rows of SST-2 the worst was 0.08 off, half
# of them less than 0.004; this tells a broken file, and tests tell the arithmetic.
FORMATS = {
    "hf": Format(("model.safetensors",), 1e-5, _FOR_TRANSFORMERS),
    "torch": Format(("model.pt2",), 1e-5),
    "onnx": Format(
        ("model.onnx",),
        1e-4,
        group="onnx",
        to_run=("onnxruntime",),
        to_write=("onnxruntime", *_ONNX_WRITERS),
    ),
    "openvino": Format(
        ("model.xml", "model.bin"),
        1e-4,
        group="openvino",
        to_run=("openvino",),
        to_write=("openvino", *_ONNX_WRITERS),
    ),
}
FORMATS |= {
    f"{name}-int8": replace(FORMATS[name], tolerance=_OF_ROUNDING, is_int8=True)
    for name in ("onnx", "openvino")
}
"""By name."""


def format_named(name: str) -> Format:
    """The format.

    Raises:
        InputError: If there is none of that name; it lists those that there are.
    """
    if name in FORMATS:
        return FORMATS[name]
    raise InputError(f"Expected a format among {', '.join(FORMATS)}, got {name!r}.")
