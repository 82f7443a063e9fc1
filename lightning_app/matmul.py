"""Choose the library that multiplies float32 matrices on this CPU."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

# One product of MiniLM's FFN over a batch of 256 tokens.
_TOKENS, _HIDDEN, _INTERMEDIATE = 256, 384, 1536
# The two libraries are level on Intel (1.0) and far apart on AMD (2.2): far from either, so
# that noise never turns the choice between a run and its resumption.
_MIN_SPEEDUP = 1.4
# float32 makes some 1e-6 here, bfloat16 1e-3.
_MAX_ERROR = 1e-5


@contextmanager
def onednn_matmul() -> Iterator[bool]:
    """Within it, float32 matrix products on the CPU go to oneDNN where that is faster and exact.

    PyTorch sends them to MKL, which on AMD processors takes its AVX2 path: 90 GFLOP/s on one
    Zen 5 core, where oneDNN makes 205 with AVX-512 (436 x 384 x 1536 and its two gradients). The
    step of MiniLM on MRPC goes from 432 to 270 ms by this alone.

    The switch is ``torch.set_float32_matmul_precision("medium")``. On a CPU with AMX that means
    bfloat16 products; without AMX oneDNN has no such kernel for float32 data, and computes in
    float32 to the last bit as it would if asked for float32. So it is tried first, once a process
    (60 ms): it must be 1.4 times as fast, with errors of float32. Otherwise nothing is changed.

    PyTorch's flash kernel multiplies small tiles through the same switch and slows down 6-fold,
    so it is off within the context, which leaves ``sdpa`` its unfused path. Load models with
    `modules.attention.register_attention`. The settings are of the process and touch CUDA too:
    use it for a fit, validation or benchmark on a CPU.

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
        torch.set_float32_matmul_precision("highest")
        default_seconds = _least_seconds(lambda: tokens @ weight.T)
        torch.set_float32_matmul_precision("medium")
        error = ((tokens @ weight.T).double() - exact).abs().max() / exact.abs().max()
        onednn_seconds = _least_seconds(lambda: tokens @ weight.T)
    finally:
        torch.set_float32_matmul_precision(precision)
    return bool(error < _MAX_ERROR) and default_seconds > _MIN_SPEEDUP * onednn_seconds


def _least_seconds(product: Callable[[], Tensor], repetitions: int = 10) -> float:
    """Return the time of the fastest of several runs, which other processes disturb least."""
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
