"""A killed run goes on as if nothing had happened, bit for bit."""

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.end_to_end.command import differences, glint, logged_scalars, run_folder, tiny_fit

# A callback of a user's own, as the README shows, that kills the process.
KILLER = '''
import os, signal, threading, time
from pathlib import Path
from lightning.pytorch import Callback

class Killer(Callback):
    """SIGKILL at the start of step `at`, or some milliseconds into the next save after it."""

    def __init__(self, at: int, within_save_ms: float = -1.0):
        self.at, self.within_save_ms = at, within_save_ms

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step >= self.at and self.within_save_ms < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_save_checkpoint(self, trainer, *args):
        if trainer.global_step >= self.at and self.within_save_ms >= 0:
            threading.Thread(target=self._kill_soon, daemon=True).start()

    def _kill_soon(self):
        time.sleep(self.within_save_ms / 1000)
        os.kill(os.getpid(), signal.SIGKILL)
'''

TIMED = (
    "seconds",
    "joules",
    "train_samples_per_second",
    "train_tokens_per_second",
    "peak_memory_mb",
)


def _fit(model: str | Path, root: Path, *more: str, expect: int | None = 0) -> Any:
    arguments = tiny_fit(model, root, "--checkpoint.every_n_steps=1", *more)
    return glint(*arguments, cwd=root, expect=expect)


def _killed_fit(model: str | Path, root: Path, at: int, within_save_ms: float) -> int:
    result = _fit(
        model,
        root,
        "--trainer.callbacks+=killer.Killer",
        f"--trainer.callbacks.at={at}",
        f"--trainer.callbacks.within_save_ms={within_save_ms}",
        "--ckpt_path=last",
        expect=None,
    )
    return int(result.returncode)


@pytest.fixture(scope="module")
def undisturbed(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    _fit(tiny_model, root)
    return root


@pytest.mark.slow
def test_killed_at_random_steps_and_in_saves_equals_undisturbed(
    tiny_model: str, undisturbed: Path, tmp_path: Path
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    draw = random.Random(7)
    # Within an epoch, at both ends of one (10, 20 are the first steps of an epoch), and in saves.
    kills = [(draw.randint(2, 8), -1.0), (10, -1.0), (draw.randint(12, 18), -1.0), (20, -1.0)]
    kills += [(step, draw.uniform(0.0, 4.0)) for step in (22, 24, 26)] + [(29, -1.0)]
    for at, within_save_ms in kills:
        code = _killed_fit(tiny_model, tmp_path, at, within_save_ms)
        assert code == -signal.SIGKILL
    _fit(tiny_model, tmp_path, "--ckpt_path=last")

    a, b = (torch.load(run_folder(r) / "checkpoints/last.ckpt") for r in (undisturbed, tmp_path))
    assert a["global_step"] == 30
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops", "tokenizer"):
        assert differences(a[part], b[part]) == []
    random_states = [c["callbacks"]["RandomState"] for c in (a, b)]
    assert differences(*random_states) == []
    assert logged_scalars(run_folder(undisturbed)) == logged_scalars(run_folder(tmp_path))
    c, d = (
        json.loads((run_folder(r) / "metrics.json").read_text()) for r in (undisturbed, tmp_path)
    )
    assert [path for path in differences(c, d) if not path.endswith(TIMED)] == []
    assert not list(run_folder(tmp_path).rglob("*.unfinished"))


def test_killed_in_bfloat16_equals_undisturbed(tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    roots = [tmp_path / name for name in ("undisturbed", "killed")]
    kill = ("--trainer.callbacks+=killer.Killer", "--trainer.callbacks.at=14")
    bfloat16 = "--trainer.precision=bf16-mixed"
    glint(*tiny_fit(tiny_model, roots[0], bfloat16), cwd=tmp_path)
    killed = tiny_fit(tiny_model, roots[1], bfloat16, "--checkpoint.every_n_steps=1", *kill)
    assert glint(*killed, cwd=tmp_path, expect=None).returncode == -signal.SIGKILL
    # Not said again: a run goes on in the precision it began with.
    more = ("--trainer.precision=null", "--ckpt_path=last")
    glint(*tiny_fit(tiny_model, roots[1], *more), cwd=tmp_path)
    a, b = (torch.load(run_folder(root) / "checkpoints/last.ckpt") for root in roots)
    assert differences(a["state_dict"], b["state_dict"]) == []
    assert differences(a["optimizer_states"], b["optimizer_states"]) == []
    summary = json.loads((run_folder(roots[1]) / "metrics.json").read_text())
    assert summary["precision"] == "bf16-mixed"


def test_dropout_was_on(undisturbed: Path) -> None:
    checkpoint = torch.load(run_folder(undisturbed) / "checkpoints/last.ckpt")
    config = checkpoint["architecture"]["config"]
    assert (config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]) == (0.1, 0.1)


def test_last_passes_over_a_truncated_checkpoint(
    tiny_model: str, undisturbed: Path, tmp_path: Path
) -> None:
    whole = (run_folder(undisturbed) / "checkpoints/last.ckpt").read_bytes()
    for version, content in enumerate((whole, whole[: len(whole) // 2])):
        file = run_folder(tmp_path, version=version) / "checkpoints/last.ckpt"
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    result = _fit(tiny_model, tmp_path, "--ckpt_path=last")
    assert f"{run_folder(tmp_path)}/checkpoints/last.ckpt" in result.stderr


def test_another_folder_gets_the_best_so_far(
    tiny_model: str, undisturbed: Path, tmp_path: Path
) -> None:
    last = run_folder(undisturbed) / "checkpoints/last.ckpt"
    _fit(tiny_model, tmp_path, f"--ckpt_path={last}")
    best = [
        torch.load(run_folder(r) / "checkpoints/best.ckpt")["state_dict"]
        for r in (undisturbed, tmp_path)
    ]
    assert differences(*best) == []


def test_a_stream_goes_on_where_it_was_killed(tiny_model: str, tmp_path: Path) -> None:
    draw = random.Random(3)
    rows = [
        f"{' '.join(draw.choices('abcdefgh', k=draw.randint(2, 30)))},{draw.choice('xy')}"
        for _ in range(200)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (tmp_path / "killer.py").write_text(KILLER)
    fit = [
        *tiny_fit(tiny_model, tmp_path),
        "--data=datamodules.TextFilesDataModule",
        "--data.train_file=rows.csv",
        "--data.validation_file=rows.csv",
        "--data.streaming=true",
        "--data.max_train_rows=null",
        "--trainer.max_epochs=-1",
        "--trainer.max_steps=30",
        "--checkpoint.every_n_steps=1",
    ]
    glint(*fit, "--name=undisturbed", cwd=tmp_path)
    kill = ("--trainer.callbacks+=killer.Killer", "--trainer.callbacks.at=17")
    assert glint(*fit, *kill, "--name=killed", cwd=tmp_path, expect=None).returncode == -9
    glint(*fit, "--name=killed", "--ckpt_path=last", cwd=tmp_path)
    weights = [
        torch.load(run_folder(tmp_path, name) / "checkpoints/last.ckpt")["state_dict"]
        for name in ("undisturbed", "killed")
    ]
    assert differences(*weights) == []
