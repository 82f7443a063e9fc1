"""Learning rate schedules as pure functions of the step."""

import math
from typing import Literal

Shape = Literal["linear", "cosine", "polynomial", "constant", "inverse_square_root", "trapezoidal"]
SHAPES: tuple[Shape, ...] = (
    "linear", "cosine", "polynomial", "constant", "inverse_square_root", "trapezoidal",
)  # fmt: skip
Scaling = Literal["linear", "sqrt"]


def learning_rate_factor(
    step: int,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    shape: Shape = "linear",
    power: float = 2.0,
    final_factor: float = 0.0,
    decay_steps: int = 0,
) -> float:
    """Factor on the base learning rate at ``step``.

    Rises linearly from 0 over the warm-up, then falls from 1 to ``final_factor`` at
    ``total_steps``. ``linear`` is the schedule of BERT (Devlin et al. 2018, arXiv:1810.04805,
    appendix A.2) and the same as `transformers.get_linear_schedule_with_warmup`;
    ``inverse_square_root`` is that of Vaswani et al. 2017 (arXiv:1706.03762, section 5.3) without
    its dependence on the width, and ignores ``final_factor``. ``trapezoidal`` stays at 1 until
    ``decay_steps`` before the end and falls linearly from there (Zhai et al. 2021,
    arXiv:2106.04560, section 3.5; Hägele et al. 2024, arXiv:2405.18392): until then no step depends
    on ``total_steps``, so that runs of all lengths have their beginning in common.

    Args:
        step: Optimizer steps taken so far, from 0.
        total_steps: Optimizer steps of the whole run.
        warmup_steps: Steps of linear rise, 0 for none.
        shape: What comes after the warm-up.
        power: Exponent of ``polynomial``.
        final_factor: Factor at the end, in [0, 1].
        decay_steps: Steps of the fall of ``trapezoidal``, at most those after the warm-up; 0 for
            none.

    Returns:
        A factor in [0, 1].
    """
    if step < warmup_steps:
        return step / warmup_steps
    if shape == "constant":
        return 1.0
    if shape == "inverse_square_root":
        return math.sqrt(max(1, warmup_steps) / max(1, step))
    fall = total_steps - warmup_steps
    if shape == "trapezoidal":
        if decay_steps == 0:
            return 1.0
        fall = min(fall, decay_steps)
    left = min(1.0, max(0.0, (total_steps - step) / max(1, fall)))
    if shape == "cosine":
        left = (1 + math.cos(math.pi * (1 - left))) / 2
    elif shape == "polynomial":
        left = left**power
    return final_factor + (1 - final_factor) * left


def rate_scale(rule: Scaling | None, num_devices: int) -> float:
    """Factor on the learning rate for a global batch that is larger by the number of devices.

    Args:
        rule: ``linear`` (Goyal et al. 2017, arXiv:1706.02677, section 2.1), ``sqrt`` (Krizhevsky
            2014, arXiv:1404.5997, section 5), or None for no change.
        num_devices: At least 1.
    """
    if rule is None:
        return 1.0
    return float(num_devices) if rule == "linear" else math.sqrt(num_devices)
