"""Two workers on one study, one of them killed in the middle of a trial."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lightning_app.search.results import Findings, findings
from lightning_app.search.study import close_study, open_storage, open_study, running
from tests.end_to_end.command import REPOSITORY
from tests.lightning_app.search.stub_search import specification

SECONDS = "0.4"


def start(storage: str, folder: Path) -> "subprocess.Popen[str]":
    module = "tests.lightning_app.search.stub_search"
    command = [sys.executable, "-m", module, storage, str(folder), SECONDS]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, text=True
    )


def search_with_a_kill(storage: str, folder: Path) -> Findings:
    """What two workers find, the first of which is killed at its second fit."""
    folder.mkdir()
    killed = start(storage, folder)
    try:
        what = specification(folder)
        fits = folder / "fits.txt"
        while killed.poll() is None and (not fits.is_file() or len(fits.read_text().split()) < 1):
            time.sleep(0.02)
        # Between the two fits of its first trial.
        assert killed.poll() is None
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    finally:
        killed.kill()
    study = open_study(open_storage(storage, what.heartbeat), what)
    assert len(running(study)) == 1, "the killed worker's, which nobody has missed yet"
    others = [start(storage, folder) for _ in range(2)]
    assert [process.wait(timeout=120) for process in others] == [0, 0]
    found = findings(study, what)
    close_study(study)
    return found


def check_nothing_is_lost_or_doubled(found: Findings, undisturbed: Findings) -> None:
    """The killed trial is counted once, and the result is that of one worker's grid."""
    both = (found, undisturbed)
    results = [sorted((*c.values.values(), *c.scores) for c in one.candidates) for one in both]
    assert results[0] == results[1]
    assert len(results[0]) == 6
    assert [one.num_finished for one in both] == [6, 6]
    best = [(one.best.values, one.best.objectives) for one in both]
    assert best[0] == best[1]
    assert best[0][0] == {"model.learning_rate": 3e-5, "data.train_batch_size": 16}
