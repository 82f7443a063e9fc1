"""`glint fit` and SIGTERM: status 143, and a run that goes on as if nothing had happened.

Two processes: test_two_processes.py. Where within an epoch: tests/callbacks/test_preemption.py.
"""

from pathlib import Path

import torch

from tests.end_to_end.command import REPOSITORY, glint, logged_scalars, run_folder, tiny_fit
from tests.end_to_end.scheduler import scheduler

STOPPED = 143


def test_the_command_that_it_names_goes_on(tiny_model: str, tmp_path: Path) -> None:
    # The loader's process is told, too.
    fit = tiny_fit(tiny_model, tmp_path, "--trainer.max_epochs=1", "--data.num_workers=1")
    said = glint(*fit, *scheduler(at=3), expect=STOPPED).stderr
    folder = run_folder(tmp_path)
    last = folder / "checkpoints/last.ckpt"
    command = f"glint fit --config {folder}/config.yaml --ckpt_path last"
    assert f"stopped by SIGTERM after step 4; saved {last}; go on: {command}\n" in said
    assert "Traceback" not in said
    glint(*command.split()[1:])
    assert torch.load(last)["global_step"] == 10
    steps = [step for step, _ in logged_scalars(folder)["train/loss"]]
    assert steps == list(range(10))


def test_the_process_that_waits_for_others_tells_them(tiny_model: str, tmp_path: Path) -> None:
    two = ("--trainer.strategy=ddp_fork", "--trainer.devices=2")
    fit = tiny_fit(tiny_model, tmp_path, *two)
    said = glint(*fit, *scheduler(at=2, to="parent"), expect=STOPPED).stderr
    saved = torch.load(run_folder(tmp_path) / "checkpoints/last.ckpt")["global_step"]
    assert 3 <= saved <= 4  # it may be told a step later
    assert said.count(f"stopped by SIGTERM after step {saved}; saved ") == 1
    assert "Traceback" not in said


RECIPE = """
name: tiny
base: [{repository}/configs/demo.yaml]
stages:
  - name: teacher
    kind: fit
    options:
      checkpoint: {{every_n_steps: 1000}}
      trainer:
        callbacks+:
          - class_path: tests.end_to_end.scheduler.Scheduler
            init_args: {{at: 3, to: parent}}
"""


def test_a_recipe_tells_its_fit_and_goes_on(tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(repository=REPOSITORY))
    options = (f"--model.model_name_or_path={tiny_model}", "--data.max_train_rows=160")
    recipe = (f"--config={tmp_path}/recipe.yaml", f"--root={tmp_path}", "--no_estimate")
    said = glint("compress", *recipe, *options, expect=STOPPED).stderr
    assert "stopped by SIGTERM; the same command goes on" in said
    assert "Traceback" not in said
    last = next(tmp_path.rglob("last.ckpt"))
    assert 4 <= torch.load(last)["global_step"] <= 5  # it may be told a step later
    glint("compress", *recipe, *options)
    assert torch.load(last)["global_step"] > 5
