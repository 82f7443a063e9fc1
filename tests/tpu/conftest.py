"""XLA's own CPU client in place of a TPU; `make test-tpu` makes the environment."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cpu_client() -> Iterator[None]:
    """Lightning asks the machine for TPUs; here it is told of one, which is the CPU."""
    if find_spec("torch_xla") is None:
        pytest.skip("torch_xla is in .venv-tpu alone: make test-tpu")
    os.environ["PJRT_DEVICE"] = "CPU"
    from lightning.fabric.accelerators import XLAAccelerator as FabricAccelerator
    from lightning.pytorch.accelerators import XLAAccelerator

    from lightning_app.xla import keep_scalars_out_of_programs

    keep_scalars_out_of_programs()
    with pytest.MonkeyPatch.context() as patch:
        for accelerator in (FabricAccelerator, XLAAccelerator):
            patch.setattr(accelerator, "is_available", staticmethod(lambda: True))
            patch.setattr(accelerator, "auto_device_count", staticmethod(lambda: 1))
        _wake_autograd()
        yield


def _wake_autograd() -> None:
    """Its threads are counted at the first backward pass of a process, the XLA device's too."""
    import torch
    import torch_xla

    torch.ones(1, device=torch_xla.device(), requires_grad=True).sum().backward()
