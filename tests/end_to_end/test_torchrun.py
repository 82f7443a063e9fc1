"""Two machines under torchrun, as configs/trainer/multi_node.yaml says; one is lost and returns."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import torch

from tests.end_to_end.command import REPOSITORY, differences, glint, run_folder, tiny_fit

SCRIPT = str(Path(__file__).with_name("two_machines.sh"))
UNSHARED = ["unshare", "--map-root-user", "--net", "--uts", "--mount"]
CONFIG = REPOSITORY / "configs/trainer/multi_node.yaml"
LOSE = "--trainer.callbacks+=tests.end_to_end.lost_machine.LostMachine"


def test_a_lost_machine_returns_and_all_go_on_from_the_newest_checkpoint(
    tiny_model: str, tmp_path: Path
) -> None:
    options = ("--trainer.max_epochs=1", "--data.train_batch_size=8")
    fit = tiny_fit(tiny_model, tmp_path, *options)
    glint(*fit, "--trainer.strategy=ddp_fork", "--trainer.devices=2", "--name=undisturbed")
    lose = (LOSE, "--trainer.callbacks.at=5", f"--trainer.callbacks.file={tmp_path}/was_lost")
    config = (f"--config={CONFIG}", "--trainer.devices=1", "--checkpoint.every_n_steps=3")
    said = _under_torchrun([*fit, *config, *lose, "--name=lost", "--ckpt_path=last"], tmp_path)

    assert (tmp_path / "was_lost").is_file()
    last = run_folder(tmp_path, "lost") / "checkpoints/last.ckpt"
    assert said.count("No whole checkpoint under") == 1
    assert said.count(f"Restoring states from the checkpoint path at {last}") == 1
    assert not run_folder(tmp_path, "lost", version=1).exists()
    a, b = (
        torch.load(run_folder(tmp_path, name) / "checkpoints/last.ckpt")
        for name in ("undisturbed", "lost")
    )
    assert a["global_step"] == 10
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops"):
        assert differences(a[part], b[part]) == []
    assert differences(*(c["callbacks"]["RandomState"] for c in (a, b))) == []


def _under_torchrun(fit: list[str], folder: Path) -> str:
    """The command in the file, on both; what all starts of it said."""
    apart = _may_unshare()
    meeting = "first:29500" if apart else f"localhost:{_free_port()}"
    torchrun = ["torchrun", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=3"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}", "--rdzv-id=lost"]
    script = [*(UNSHARED if apart else ()), "bash", SCRIPT, str(folder)]
    environment = {
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "ALONE": "" if apart else "1",
    }
    result = subprocess.run(
        [*script, *torchrun, "-m", "lightning_app", *fit],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    said = {path.name: path.read_text() for path in sorted(folder.glob("*.log"))}
    assert result.returncode == 0, "\n".join([result.stderr, *(s[-3000:] for s in said.values())])
    assert list(said) == ["first-1.log", "second-1.log", "second-2.log"]
    return "".join(said.values())


def _may_unshare() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    link = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]
    return subprocess.run([*UNSHARED, *link], capture_output=True, check=False).returncode == 0


def _free_port() -> int:
    with socket.create_server(("localhost", 0)) as server:
        return int(server.getsockname()[1])
