"""A fit that gets SIGTERM stops where it can go on bit for bit."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks import LearningRateSchedule, Preemption, RandomState, RunCheckpoint
from lightning_app.checkpoint_io import AtomicCheckpointIO
from modules import TextClassifier
from tests.end_to_end.command import differences
from tests.tiny_fit import fit, quiet_trainer, reviews_data


class Scheduler(Callback):
    """Sends the signal in the hook ``where``, once ``step`` optimizer steps are done."""

    def __init__(self, where: str, step: int, number: int = signal.SIGTERM) -> None:
        self.step, self.number = step, number
        setattr(self, where, self._send)

    def _send(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step >= self.step and not trainer.sanity_checking:
            os.kill(os.getpid(), self.number)


Start = Callable[..., Trainer]


@pytest.fixture
def start(tiny_model: str, reviews: Path) -> Start:
    """Fits 2 epochs of 6 batches in a folder, from the checkpoint there if there is one."""

    def fit_in(folder: Path, *more: Callback, **options: Any) -> Trainer:
        torch.manual_seed(1)
        usual = [Preemption("GO ON"), LearningRateSchedule(), RandomState(), RunCheckpoint()]
        trainer = quiet_trainer(
            *more,
            *usual,
            max_epochs=2,
            enable_checkpointing=True,
            default_root_dir=folder,
            plugins=[AtomicCheckpointIO()],
            **options,
        )
        last = _last(folder) if _last(folder).is_file() else None
        model = TextClassifier(tiny_model, learning_rate=1e-3)
        trainer.fit(model, datamodule=reviews_data(reviews), ckpt_path=last)
        return trainer

    return fit_in


def _last(folder: Path) -> Path:
    return folder / "checkpoints/last.ckpt"


PLACES = {
    # where the signal comes, after how many steps, options, steps in the checkpoint
    "within_an_epoch": ("on_train_batch_start", 2, {}, 3),
    "in_the_first_step": ("on_train_batch_start", 0, {}, 1),
    "before_a_validation": ("on_train_batch_start", 2, {"val_check_interval": 3}, 4),
    "in_a_validation": ("on_validation_batch_start", 3, {"val_check_interval": 3}, 4),
    "in_the_last_step_of_an_epoch": ("on_train_batch_start", 5, {}, 6),
    "in_the_validation_of_an_epoch": ("on_validation_batch_start", 6, {}, 7),
    "between_accumulated_batches": ("on_after_backward", 1, {"accumulate_grad_batches": 2}, 2),
}


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("place", PLACES)
def test_it_goes_on_bit_for_bit(
    place: str, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, step, options, saved = PLACES[place]
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    start(undisturbed, **options)
    with pytest.raises(SIGTERMException) as caught:
        start(stopped, Scheduler(where, step), **options)
    assert caught.value.code == 143
    said = f"stopped by SIGTERM after step {saved}; saved {_last(stopped)}; go on: GO ON\n"
    assert capsys.readouterr().err.endswith(said)
    assert torch.load(_last(stopped))["global_step"] == saved
    start(stopped, **options)
    a, b = (torch.load(_last(folder)) for folder in (undisturbed, stopped))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops"):
        assert differences(a[part], b[part]) == []
    assert differences(*(c["callbacks"]["RandomState"] for c in (a, b))) == []


def test_in_its_last_step_a_run_ends_as_ever(start: Start, tmp_path: Path) -> None:
    trainer = start(tmp_path, Scheduler("on_train_batch_start", 11))
    assert trainer.global_step == 12
    assert torch.load(_last(tmp_path))["global_step"] == 12


def test_the_handlers_of_before_are_back(start: Start, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SIGTERMException):
        start(tmp_path, Scheduler("on_train_batch_start", 2))
    assert signal.getsignal(signal.SIGTERM) is before


def test_under_slurm_its_warning_signal_does_the_same(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("NTASKS", 1), ("JOB_NAME", "glint"), ("PROCID", 0), ("LOCALID", 0)):
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    for name, value in (("JOB_ID", 7), ("NODEID", 0), ("NTASKS_PER_NODE", 1)):
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    with pytest.raises(SIGTERMException) as caught:
        start(tmp_path, Scheduler("on_train_batch_start", 2, signal.SIGUSR1))
    assert caught.value.code == 143
    assert [file.name for file in tmp_path.rglob("*.ckpt")] == ["last.ckpt"]


def test_without_checkpoints_it_says_that_nothing_was_saved(
    tiny_model: str, reviews: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SIGTERMException):
        fit(tiny_model, reviews, Preemption(), Scheduler("on_train_batch_start", 2))
    assert "after step 3; there is no RunCheckpoint, and nothing was saved" in (
        capsys.readouterr().err
    )
