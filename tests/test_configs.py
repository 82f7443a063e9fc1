"""What the files in configs/callbacks/ and configs/trainer/ add can be made; how they compose:
tests/end_to_end."""

import os
import subprocess
from pathlib import Path

import jsonargparse
import pytest
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy

from lightning_app.commands.search import Search
from lightning_app.sharded_strategy import ShardedStrategy
from modules import TextClassifier

CONFIGS = Path(__file__).parents[1] / "configs"
CALLBACKS = sorted((CONFIGS / "callbacks").glob("*.yaml"))
SEARCHES = sorted((CONFIGS / "search").glob("*.yaml"))
TRAINERS = sorted((CONFIGS / "trainer").glob("*.yaml"))
CPU = {"accelerator": "cpu", "devices": 2}


@pytest.mark.parametrize("path", CALLBACKS, ids=lambda path: path.stem)
def test_its_callbacks_can_be_made(path: Path) -> None:
    entries = yaml.safe_load(path.read_text())["trainer"]["callbacks+"]
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    made = parser.instantiate(parser.parse_object({"callbacks": entries}))
    assert [type(c).__name__ for c in made.callbacks] == [
        entry["class_path"].rpartition(".")[2] for entry in entries
    ]


@pytest.mark.parametrize("path", TRAINERS, ids=lambda path: path.stem)
def test_it_begins_with_what_it_does_and_the_command(path: Path) -> None:
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert path.read_text().startswith(comment[0])
    commands = [line for line in comment if "glint fit" in line or "lightning_app fit" in line]
    assert commands
    assert f"configs/trainer/{path.name}" in "".join(comment)


@pytest.mark.parametrize("path", TRAINERS, ids=lambda path: path.stem)
def test_its_trainer_and_model_can_be_made(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Trainer, "trainer")
    parser.add_class_arguments(TextClassifier, "model")
    here = {**config["trainer"], "logger": False, "enable_checkpointing": False}
    if config["trainer"].get("accelerator") != "cpu":  # what this machine may not have
        here |= CPU
    parts = {"trainer": here, "model": config.get("model", {})}
    trainer = parser.instantiate(parser.parse_object(parts)).trainer
    kind = {"fsdp": ShardedStrategy}.get(path.stem, DDPStrategy)
    if "strategy" in config["trainer"]:
        assert type(trainer.strategy) is kind
        assert trainer.world_size == 2 * config["trainer"].get("num_nodes", 1)


def test_the_job_script_names_a_config_that_is_there() -> None:
    script = (CONFIGS / "trainer/multi_node.sbatch").read_text()
    named = [word for word in script.split() if word.startswith("configs/") and "yaml" in word]
    assert len(named) == 2
    assert all((CONFIGS.parent / name).is_file() for name in named)


@pytest.mark.parametrize(("status", "is_requeued"), [(143, True), (1, False), (0, False)])
def test_the_job_script_is_requeued_when_it_was_told_to_stop(
    status: int, is_requeued: bool, tmp_path: Path
) -> None:
    for name, line in (("srun", f"exit {status}"), ("scontrol", 'echo "$@" >> said')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS_PER_NODE": "4", "PATH": path}
    script = ["bash", str(CONFIGS / "trainer/multi_node.sbatch")]
    assert subprocess.run(script, cwd=tmp_path, env=job, check=False).returncode == status
    said = tmp_path / "said"
    assert (said.read_text() if said.exists() else None) == ("requeue 7\n" if is_requeued else None)


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.stem)
def test_a_search_can_be_made_and_each_of_its_values_is_accepted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parents[2])
    assert f"glint search --config configs/search/{path.name}" in path.read_text()
    run = Search(**yaml.safe_load(path.read_text())).prepare()
    numbers = {"mrpc_grid": 27, "mrpc": 12, "front": 24, "mrpc_recipe": 12}
    assert len(run.tickets()) == numbers[path.stem]
    assert run.specification.shares_prefix == (path.stem == "mrpc")
    rungs = {"mrpc_grid": [4], "mrpc": [2, 3, 4], "front": [1, 2, 3], "mrpc_recipe": [1]}
    assert list(run.rungs) == rungs[path.stem]
