"""Choose the library that multiplies float32 matrices on this CPU."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

# One product of MiniLM's FFN over a batch of 256 tokens.
_TOKENS, _HIDDEN, _INTERMEDIATE = 256, 384, 1536
# The two libraries are level on Intel and Zen 4 and far apart on Zen 5: far from either, so that
# noise does not turn the choice between a run and its resumption.
_MIN_SPEEDUP = 1.4
# float32 makes some 1e-6 here, bfloat16 1e-3.
_MAX_ERROR = 1e-5


@contextmanager
def onednn_matmul() -> Iterator[bool]:
    """Within it, float32 matrix products on the CPU go to oneDNN where that is faster and exact.

    PyTorch sends them to MKL, which on AMD processors takes its AVX2 path. Where the AVX-512 units
    are of full width (Zen 5), oneDNN is far faster with them, which a training step feels most of
    all that Glint does; where they are of half width (Zen 4), the two are level. Measured by
    `python -m benchmarks.kernels`.

    The switch is ``torch.set_float32_matmul_precision("medium")``. On a CPU with AMX that means
    bfloat16 products; without AMX oneDNN has no such kernel for float32 data, and computes in
    float32 to the last bit as it would if asked for float32. So it is tried first, once a process
    (0.1 s): it must be 1.4 times as fast, with errors of float32. Otherwise nothing is changed.

    PyTorch's flash kernel multiplies small tiles through the same switch and becomes several times
    slower, so it is off within the context, which leaves ``sdpa`` its unfused path. Load models
    with `modules.attention.register_attention`. The settings are of the process and touch CUDA
    too: use it for a fit, validation or benchmark on a CPU.

    Yields:
        Whether oneDNN was chosen.
    """
    precision = torch.get_float32_matmul_precision()
    flash = torch.backends.cuda.flash_sdp_enabled()  # type: ignore[no-untyped-call]
    chosen = onednn_is_better()
    try:
        if chosen:
            torch.set_float32_matmul_precision("medium")
            torch.backends.cuda.enable_flash_sdp(False)
        yield chosen
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cuda.enable_flash_sdp(flash)


@cache
def onednn_is_better() -> bool:
    """Tell whether oneDNN's float32 product is exact and 1.4 times as fast as the default's."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)  # the global generator is not ours to advance
    tokens = torch.randn(_TOKENS, _HIDDEN, generator=generator)
    weight = torch.randn(_INTERMEDIATE, _HIDDEN, generator=generator)
    exact = tokens.double() @ weight.double().T
    precision = torch.get_float32_matmul_precision()
    try:
        default_seconds, onednn_seconds = _least_seconds(lambda: tokens @ weight.T)
        torch.set_float32_matmul_precision("medium")
        error = ((tokens @ weight.T).double() - exact).abs().max() / exact.abs().max()
    finally:
        torch.set_float32_matmul_precision(precision)
    return bool(error < _MAX_ERROR) and default_seconds > _MIN_SPEEDUP * onednn_seconds


def _least_seconds(product: Callable[[], Tensor], repetitions: int = 20) -> tuple[float, float]:
    """Return the times of each library's fastest run, which other processes disturb least.

    The libraries take turns: one after the other, a busy moment would count against one alone.
    """
    seconds: dict[str, list[float]] = {"highest": [], "medium": []}
    before = torch.get_float32_matmul_precision()
    try:
        for _ in range(repetitions):
            for precision, kept in seconds.items():
                torch.set_float32_matmul_precision(precision)
                start = time.perf_counter()
                product()
                kept.append(time.perf_counter() - start)
    finally:
        torch.set_float32_matmul_precision(before)
    return min(seconds["highest"]), min(seconds["medium"])
