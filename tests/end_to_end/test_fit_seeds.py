"""`glint fit --seeds`: killed on the way, and gone on with."""

import json
import signal
from pathlib import Path

import pytest
import yaml

from tests.end_to_end.command import glint, tiny_fit

KILLER = '''
import os, signal
from pathlib import Path
from lightning.pytorch import Callback

class Killer(Callback):
    """SIGKILL in the middle of the second seed, once."""

    def on_train_batch_start(self, trainer, *args):
        marker = Path("killed")
        is_due = os.environ["PL_GLOBAL_SEED"] == "43" and trainer.global_step == 15
        if is_due and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.mark.slow
def test_a_killed_seed_goes_on_and_finished_ones_are_skipped(
    tiny_model: str, tmp_path: Path
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    base = tiny_fit(tiny_model, tmp_path / "runs", "--checkpoint.every_n_steps=1")
    command = [*base, "--trainer.callbacks+=killer.Killer", "--seeds=2"]
    killed = glint(*command, cwd=tmp_path, expect=2)
    assert signal.SIGKILL.name in killed.stderr
    folder = tmp_path / "runs/demo/seeds_0"
    first = folder / "seed42/version_0/metrics.json"
    before = first.stat().st_mtime_ns

    done = glint(*command, cwd=tmp_path)
    assert "[1/2] seed 42: finished before, val/score" in done.stdout
    assert "2 seeds (42, 43): mean" in done.stdout
    assert first.stat().st_mtime_ns == before
    assert not (folder / "seed43/version_1").exists()

    runs = [json.loads((folder / f"seed{s}/version_0/metrics.json").read_text()) for s in (42, 43)]
    assert [run["steps"] for run in runs] == [30, 30]
    assert [entry["step"] for entry in runs[1]["history"]] == [10, 20, 30]
    scores = json.loads((folder / "seeds.json").read_text())["metrics"]["val/score"]
    assert scores["mean"] == pytest.approx(sum(run["best"]["val/score"] for run in runs) / 2)
    # What a fit saves is taken by other commands, which know no seeds.
    saved = yaml.safe_load((folder / "seed43/version_0/config.yaml").read_text())
    assert (saved["seed_everything"], saved["data"]["init_args"]["data_seed"]) == (43, 43)
    assert {"seeds", "baseline"} & set(saved) == set()
