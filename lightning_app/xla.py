"""All that is special about XLA devices, with `xla_checkpoint_io`: the one place to change when
torch_xla has a successor.
"""

import os
import sys

from torch import Tensor

XLA = "xla"
"""The type of the devices; that of Lightning's accelerator is ``tpu``."""


def keep_scalars_out_of_programs() -> None:
    """To be called before the first tensor is on XLA.

    Otherwise 0 and 1 are written into programs, and a learning rate that gets so low that a decay
    rounds to 1 makes another one.
    """
    os.environ.setdefault("XLA_NO_SPECIAL_SCALARS", "1")


def off_xla(tensor: Tensor) -> Tensor:
    """The tensor, in the memory of the host if it was on XLA.

    For what has a shape that depends on values, which would be compiled anew each time there.
    """
    return tensor.cpu() if tensor.device.type == XLA else tensor


def random_state() -> int | None:
    """Of the XLA device's generator; None where there is no such device."""
    model = sys.modules.get("torch_xla.core.xla_model")
    return None if model is None else int(model.get_rng_state())


def set_random_state(state: int | None) -> None:
    """Put the generator where :func:`random_state` found it."""
    model = sys.modules.get("torch_xla.core.xla_model")
    if model is not None and state is not None:
        model.set_rng_state(state)
