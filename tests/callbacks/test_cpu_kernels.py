"""The settings of the process last as long as the run."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from callbacks import CPUKernels
from lightning_app.matmul import onednn_is_better
from tests.tiny_fit import fit


class _Look(Callback):
    def __init__(self, fail: bool) -> None:
        self.fail = fail
        self.precision = ""

    def on_train_batch_start(self, *_: object) -> None:
        self.precision = torch.get_float32_matmul_precision()
        if self.fail:
            raise RuntimeError("stopped on purpose")


@pytest.mark.parametrize("fail", [False, True])
def test_settings_are_put_back_after_a_run_and_after_a_failure(
    tiny_model: str, reviews: Path, fail: bool
) -> None:
    before = (torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled())
    look = _Look(fail)
    if fail:
        with pytest.raises(RuntimeError, match="stopped on purpose"):
            fit(tiny_model, reviews, CPUKernels(), look)
    else:
        fit(tiny_model, reviews, CPUKernels(), look)
    assert look.precision == ("medium" if onednn_is_better() else before[0])
    after = (torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled())
    assert after == before
