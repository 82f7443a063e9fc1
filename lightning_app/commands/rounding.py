"""What becomes of a checkpoint's quantization in each format of `glint export`."""

from typing import TYPE_CHECKING

from lightning_app.artifact.formats import FORMATS, format_named
from lightning_app.errors import InputError
from modules.fake_quantization import apply_quantization
from modules.quantization import ModuleQuantization, Quantization

if TYPE_CHECKING:
    from modules.text_classifier import TextClassifier

_LEFT_OUT = (
    "It was trained with rounding to integers, which format {format} leaves out: choose"
    " `--format onnx-int8` or `openvino-int8` for what was trained."
)
_SATURATES = (
    "Unsafe on x86 processors without VNNI (Intel servers before Cascade Lake, others before Ice"
    " Lake, AMD before Zen 4), where sums of 8-bit products overflow: for those train with"
    " `weight_bits: 7`{loader}."
)
_BY_LOADER = ", or open it with `lightning_app.load`, which asks for slower sums that do not"


def settle_rounding(model: "TextClassifier", format: str) -> tuple[str, ...]:
    """Bring the model to what the format can say.

    Args:
        model: A float format leaves its network and record without quantization.
        format: To be written.

    Returns:
        What the user should know of it, a sentence each.

    Raises:
        InputError: If the format needs a quantization and has none, or one that it cannot say.
    """
    assert model.network is not None
    assert model.architecture is not None
    quantization = model.architecture.quantization
    if format_named(format).is_int8:
        return _notes_of_integers(_checked(quantization, format), format)
    if quantization is None:
        return ()
    apply_quantization(model.network, None)
    model.architecture = model.architecture.with_quantization(None)
    return (_LEFT_OUT.format(format=format),)


def tolerance_of(quantization: Quantization | None, format: str) -> float:
    """That of the format; where no activation is rounded, that of its float sibling."""
    if quantization is not None and not _with_integer_products(quantization):
        format = format.removesuffix("-int8")
    return FORMATS[format].tolerance


def _checked(quantization: Quantization | None, format: str) -> Quantization:
    if quantization is None or not quantization.modules:
        raise InputError(
            f"Expected a quantized checkpoint for `--format {format}`, got one without rounding:"
            " run `glint quantize` on it, or train with `callbacks.QuantizationAwareTraining`."
        )
    for name, how in quantization.modules.items():
        if how.group_size is not None:
            raise InputError(
                f"Expected one scale for each row of weights for `--format {format}`, got groups of"
                f" {how.group_size} in {name}: quantize without `group_size`."
            )
    return quantization


def _notes_of_integers(quantization: Quantization, format: str) -> tuple[str, ...]:
    if all(how.weight_bits < 8 for how in _with_integer_products(quantization)):
        return ()
    loader = _BY_LOADER if format == "onnx-int8" else ""
    return (_SATURATES.format(loader=loader),)


def _with_integer_products(quantization: Quantization) -> list[ModuleQuantization]:
    return [how for how in quantization.modules.values() if _rounds_activations(how)]


def _rounds_activations(how: ModuleQuantization) -> bool:
    return how.scheme == "dynamic" or how.activation_range is not None
