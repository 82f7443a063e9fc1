"""Choose the library that multiplies float32 matrices on this CPU."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

# One product of MiniLM's FFN over a batch of 256 tokens.
_TOKENS, _HIDDEN, _INTERMEDIATE = 256, 384, 1536
# The two libraries are level on Intel and Zen 4 and far apart on Zen 5: far from either.
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
    float32 to the last bit as it would if asked for float32. So it is tried first, once a machine
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
    """Tell whether oneDNN's float32 product is exact and 1.4 times as fast as the default's.

    As it was first found with this processor, torch and number of threads: kept in Glint's cache,
    for the two libraries round differently, and a run, its resumption and all of its processes
    must not depend on how busy the moment was.
    """
    from filelock import FileLock

    from lightning_app.commands.whole_file import write_whole

    file = _kept_choice()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                write_whole(file, json.dumps({"onednn": _measured()}).encode())
        return bool(json.loads(file.read_text("utf-8"))["onednn"])
    except OSError:  # a cache that cannot be written to
        return _measured()


def _kept_choice() -> Path:
    from lightning_app.cache_key import cache_key
    from lightning_app.processor import Processor
    from lightning_app.teacher_cache import default_cache_root

    here = Processor.here()
    facts = {
        "processor": here.name,
        "features": sorted(here.features),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    return default_cache_root().parent / "matmul" / f"{cache_key(facts)[:16]}.json"


def _measured() -> bool:
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
