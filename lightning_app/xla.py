"""All that is special about XLA devices, with `xla_checkpoint_io`: the one place to change when
torch_xla has a successor.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

XLA = "xla"
"""The type of the devices; that of Lightning's accelerator is ``tpu``."""


def keep_scalars_out_of_programs() -> None:
    """To be called before the first tensor is on XLA.

    Otherwise 0 and 1 are written into programs.
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


class XLAAdamW(torch.optim.AdamW):
    """AdamW that decays weights by a difference in place of a factor; its state is AdamW's.

    A learning rate can get so low that the factor is 1 in float32. XLA takes equal numbers of a
    step for one, so the step would be another program from then on.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """As AdamW's; the closure comes first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        decays = [group["weight_decay"] for group in self.param_groups]
        for group, decay in zip(self.param_groups, decays, strict=True):
            for weight in group["params"]:
                if decay and weight.grad is not None:
                    weight.sub_(weight, alpha=float(group["lr"]) * decay)
            group["weight_decay"] = 0.0
        try:
            super().step()
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay
        return loss
