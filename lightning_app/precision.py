"""Choose the precision of training by what the processor has."""

from pathlib import Path
from typing import Any

import torch

MIXED, FULL = "bf16-mixed", "32-true"


def multiplies_bfloat16() -> bool:
    """Whether the CPU has AVX512-BF16 or AMX; without, bfloat16 products are 5 times slower."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def choose_precision(accelerator: Any, resumed_run: Path | None = None) -> str | None:
    """Choose what ``trainer.precision`` is where nobody set it.

    bfloat16 products with float32 weights, sums and optimizer where the CPU has such products:
    the scores are those of float32 (configs/README.md) and training is faster. A run that goes on
    does so in the precision it began with, on whatever machine.

    Args:
        accelerator: ``trainer.accelerator``.
        resumed_run: Folder of the run that goes on.

    Returns:
        A value for ``trainer.precision``, or None off the CPU, where Lightning's default stays.
    """
    begun = None if resumed_run is None else _precision_of(resumed_run)
    if begun is not None:
        return begun
    if accelerator != "cpu" and (accelerator != "auto" or _has_other_than_cpu()):
        return None
    return MIXED if multiplies_bfloat16() else FULL


def _has_other_than_cpu() -> bool:
    from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator, XLAAccelerator

    others = (CUDAAccelerator, MPSAccelerator, XLAAccelerator)
    return any(accelerator.is_available() for accelerator in others)


def _precision_of(run: Path) -> str | None:
    """What the config.yaml of a run says, if there is one."""
    import yaml  # type: ignore[import-untyped]

    file = run / "config.yaml"
    if not file.is_file():
        return None
    precision = (yaml.safe_load(file.read_text()).get("trainer") or {}).get("precision")
    return None if precision is None else str(precision)
