"""FSDP on two CPU processes: a fit, its sharded checkpoint, joined, and what goes on from it."""

import pickle
from pathlib import Path

import pytest
import torch

from lightning_app.checkpoint import read_checkpoint
from lightning_app.errors import InputError
from lightning_app.sharded_checkpoint import INDEX
from tests.end_to_end.command import NO_DROPOUT, REPOSITORY, glint, run_folder, tiny_fit

FSDP = (
    f"--config={REPOSITORY}/configs/trainer/fsdp.yaml",
    "--trainer.devices=2",
    "--data.train_batch_size=8",
)
SHARDED = "--trainer.strategy.save_distributed_checkpoint=true"
PRUNING = "--trainer.callbacks+=callbacks.MagnitudePruning"
ONE = ("--trainer.strategy=auto", "--trainer.devices=1")


@pytest.fixture(scope="module")
def runs(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    fit = tiny_fit(tiny_model, root, *NO_DROPOUT, "--trainer.max_epochs=2")
    glint(*fit, "--name=one", "--data.train_batch_size=16")
    glint(*fit, "--name=sharded", *FSDP, SHARDED)
    return root


def _last(runs: Path, name: str) -> Path:
    return run_folder(runs, name) / "checkpoints/last.ckpt"


def test_weights_and_optimizer_are_those_of_one_process(runs: Path) -> None:
    one, parts = (read_checkpoint(_last(runs, name)) for name in ("one", "sharded"))
    assert _last(runs, "sharded").is_dir()
    assert one.keys() == parts.keys()
    torch.testing.assert_close(parts["state_dict"], one["state_dict"], rtol=1e-5, atol=1e-6)
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (one, parts)]
    torch.testing.assert_close(states[1], states[0], rtol=1e-5, atol=1e-6)


def test_joined_it_is_one_file_that_scores_the_same(runs: Path, tmp_path: Path) -> None:
    joined = tmp_path / "joined.ckpt"
    glint("join", f"--ckpt_path={_last(runs, 'sharded')}", f"--output={joined}")
    torch.load(joined, weights_only=True)
    config = f"--config={run_folder(runs, 'sharded')}/config.yaml"
    scores = [
        _scores(glint("validate", config, *ONE, f"--ckpt_path={path}").stdout)
        for path in (joined, _last(runs, "one"))
    ]
    assert len(scores[0]) == 4
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_one_process_goes_on_from_the_parts(runs: Path) -> None:
    config = f"--config={run_folder(runs, 'sharded')}/config.yaml"
    more = ("--trainer.max_epochs=3", "--data.train_batch_size=16", "--name=on")
    glint("fit", config, *ONE, *more, f"--ckpt_path={_last(runs, 'sharded')}")
    assert read_checkpoint(_last(runs, "on"))["global_step"] == 30


def test_what_needs_whole_weights_is_refused(tiny_model: str, tmp_path: Path) -> None:
    fit = tiny_fit(tiny_model, tmp_path, *FSDP, PRUNING, "--trainer.callbacks.sparsity=0.5")
    result = glint(*fit, expect=2)
    assert "Expected a strategy with whole parameters for `callbacks.Magnitude" in result.stderr


def test_a_foreign_index_is_not_run(runs: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "was_run",))

    folder = tmp_path / "evil.ckpt"
    folder.mkdir()
    for file in _last(runs, "sharded").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / INDEX).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="could run code, and was not opened"):
        read_checkpoint(folder)
    assert not (tmp_path / "was_run").exists()


def test_a_missing_part_is_said(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "half.ckpt"
    folder.mkdir()
    for file in _last(runs, "sharded").iterdir():
        if not file.name.startswith("__1"):
            (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=r"a part of .* is missing"):
        read_checkpoint(folder)


def _scores(output: str) -> list[float]:
    return [float(line.split("│")[2]) for line in output.splitlines() if "val/" in line]
