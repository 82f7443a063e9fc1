"""A run goes on from the best.ckpt of a validation within an epoch, bit for bit."""

import json
import signal
from pathlib import Path

import pytest
import torch

from lightning_app.checkpoint import newest_checkpoint
from tests.end_to_end.command import differences, glint, logged_scalars, run_folder, tiny_fit
from tests.end_to_end.test_kill_and_resume import KILLER, TIMED

# Each validation is the best so far, and no last.ckpt is written within an epoch.
EACH_IS_BEST = ("--checkpoint.monitor=step", "--checkpoint.every_n_minutes=0")
TWICE_AN_EPOCH = "--trainer.val_check_interval=0.5"
TWO_BATCHES_A_STEP = "--trainer.accumulate_grad_batches=2"
# Counted across epochs; none is better than the first, and last.ckpt is written wherever it may.
ACROSS_EPOCHS = (
    "--trainer.val_check_interval=7",
    "--trainer.check_val_every_n_epoch=null",
    "--checkpoint.monitor=step",
    "--checkpoint.mode=min",
    "--checkpoint.every_n_steps=1",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "kills"),
    [
        # The step of the kill, and the checkpoint and its step that the run then goes on from.
        ((TWICE_AN_EPOCH, *EACH_IS_BEST), {7: ("best.ckpt", 5), 17: ("best.ckpt", 15)}),
        # 5 batches are no whole number of steps; validated is after 4 and 8.
        (
            (TWICE_AN_EPOCH, *EACH_IS_BEST, TWO_BATCHES_A_STEP),
            {3: ("best.ckpt", 2), 8: ("best.ckpt", 7)},
        ),
        # The checkpoint of step 14 would have been one written right before a validation.
        (ACROSS_EPOCHS, {14: ("last.ckpt", 13)}),
    ],
    ids=["twice an epoch", "accumulated", "across epochs"],
)
def test_killed_and_resumed_equals_undisturbed(
    tiny_model: str, tmp_path: Path, options: tuple[str, ...], kills: dict[int, tuple[str, int]]
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    fit = [*tiny_fit(tiny_model, tmp_path), *options]
    glint(*fit, "--name=undisturbed", cwd=tmp_path)
    for at, goes_on_from in kills.items():
        kill = ("--trainer.callbacks+=killer.Killer", f"--trainer.callbacks.at={at}")
        result = glint(*fit, *kill, "--name=killed", "--ckpt_path=last", cwd=tmp_path, expect=None)
        assert result.returncode == -signal.SIGKILL
        newest = newest_checkpoint(tmp_path / "killed")
        assert newest is not None
        assert (newest.name, torch.load(newest)["global_step"]) == goes_on_from
    glint(*fit, "--name=killed", "--ckpt_path=last", cwd=tmp_path)
    _assert_equal(*(run_folder(tmp_path, name) for name in ("undisturbed", "killed")))


def _assert_equal(undisturbed: Path, resumed: Path) -> None:
    a, b = (torch.load(folder / "checkpoints/last.ckpt") for folder in (undisturbed, resumed))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops"):
        assert differences(a[part], b[part]) == []
    assert differences(*(c["callbacks"]["RandomState"] for c in (a, b))) == []
    assert logged_scalars(undisturbed) == logged_scalars(resumed)
    c, d = (json.loads((f / "metrics.json").read_text()) for f in (undisturbed, resumed))
    assert [path for path in differences(c, d) if not path.endswith(TIMED)] == []
    assert a["architecture"]["config"]["hidden_dropout_prob"] > 0
