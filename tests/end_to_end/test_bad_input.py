"""A mistake of the user's gets one sentence and exit code 2, and leaves nothing half-written."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch  # noqa: F401  # its log handler keeps the stderr of this moment
import pytest
import torch

from lightning_app.__main__ import main
from tests.end_to_end.command import glint, run_folder, tiny_fit

GOOD = "text,label\n" + "a good day,x\na bad night,y\n" * 20


@pytest.fixture
def complain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., str]:
    """Run a command in this process; return its one sentence."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["glint"])

    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main(list(arguments)) == 2
        errors = capsys.readouterr().err
        assert "Traceback" not in errors
        sentences = [line for line in errors.splitlines() if line.startswith("glint: ")]
        assert len(sentences) == 1
        assert not list(tmp_path.rglob("*.unfinished"))
        return sentences[0]

    return run


@pytest.fixture
def fit(complain: Callable[..., str], tiny_model: str, tmp_path: Path) -> Callable[..., str]:
    """A fit on the embedded data that is given something wrong."""

    def run(*arguments: str) -> str:
        sentence = complain(*tiny_fit(tiny_model, tmp_path / "runs"), *arguments)
        assert not list((tmp_path / "runs").rglob("version_*"))
        return sentence

    return run


@pytest.fixture
def fit_file(complain: Callable[..., str], tiny_model: str, tmp_path: Path) -> Callable[..., str]:
    """A fit on a file of one's own that has something wrong."""

    def run(name: str, content: str, *arguments: str) -> str:
        (tmp_path / name).write_text(content)
        return complain(
            "fit",
            "--data=datamodules.TextFilesDataModule",
            f"--data.train_file={name}",
            f"--model.model_name_or_path={tiny_model}",
            f"--trainer.default_root_dir={tmp_path / 'runs'}",
            "--trainer.enable_progress_bar=false",
            "--trainer.accelerator=cpu",
            *arguments,
        )

    return run


@pytest.fixture(scope="module")
def checkpoint(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of one step on mrpc."""
    root = tmp_path_factory.mktemp("checkpoint")
    saved = sys.argv[:]
    try:
        assert main([*tiny_fit(tiny_model, root), "--trainer.max_steps=1"]) == 0
    finally:
        sys.argv[:] = saved
    return run_folder(root) / "checkpoints/last.ckpt"


def test_unknown_task_lists_the_known(fit: Callable[..., str]) -> None:
    assert "cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli, ax, got 'mrcp'" in fit(
        "--data.task_name=mrcp"
    )


def test_unknown_metric_lists_the_known(fit_file: Callable[..., str]) -> None:
    sentence = fit_file("a.csv", GOOD, "--data.metrics=[bleu]")
    assert "among accuracy, f1, matthews, got 'bleu'" in sentence


def test_missing_column_lists_the_columns(fit_file: Callable[..., str]) -> None:
    sentence = fit_file("a.csv", GOOD, "--data.text_columns=[review]")
    assert "'review' (`data.text_columns`), but its columns are text, label" in sentence


def test_missing_file(fit_file: Callable[..., str]) -> None:
    sentence = fit_file("a.csv", GOOD, "--data.train_file=nope.csv")
    assert "Expected `data.train_file` to be a file, got 'nope.csv'" in sentence


@pytest.mark.parametrize(
    ("content", "reason"), [("", "is empty"), ("text,label\n", "holds no rows")]
)
def test_empty_file(fit_file: Callable[..., str], content: str, reason: str) -> None:
    assert reason in fit_file("a.csv", content)


def test_null_text_names_the_row(fit_file: Callable[..., str]) -> None:
    assert "row 41 (counting from 1" in fit_file("a.csv", GOOD + ",x\n")


def test_rows_that_are_no_text(fit_file: Callable[..., str]) -> None:
    assert "it holds int64" in fit_file("a.csv", "text,label\n1,x\n2,y\n")


def test_label_outside_the_tasks_names_the_row(
    fit_file: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "v.csv").write_text("text,label\nfine,x\nodd,z\n")
    sentence = fit_file("a.csv", GOOD, "--data.validation_file=v.csv")
    assert "a label among x, y in v.csv, but row 2 (counting from 1) has 'z'" in sentence


def test_structure_that_the_base_model_has_not(fit: Callable[..., str]) -> None:
    assert "has 2 layers, got 9" in fit("--model.structure.num_layers=9")


def test_unreachable_hub_names_the_ways_out(fit: Callable[..., str]) -> None:
    sentence = fit("--data.dataset=no-such/data")
    assert "`--data.dataset FOLDER` or `--data.dataset embedded`" in sentence
    sentence = fit("--model.model_name_or_path=no-such/model")
    assert "use a folder or `embedded`" in sentence


def test_an_unreachable_hub_is_not_retried_for_long(tiny_model: str, tmp_path: Path) -> None:
    nobody = {"HF_ENDPOINT": "http://127.0.0.1:9", "http_proxy": "", "https_proxy": ""}
    online = {"HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0", "HF_HOME": f"{tmp_path}/empty"}
    for wrong in ("--data.dataset=no-such/data", "--model.model_name_or_path=no-such/model"):
        fit = tiny_fit(tiny_model, tmp_path / "runs", wrong)
        result = glint(*fit, cwd=tmp_path, expect=2, **nobody, **online)
        # What huggingface_hub writes before each of its pauses, 23 s in all.
        assert "Retrying in" not in result.stderr
        assert "or `embedded`" in result.stderr.splitlines()[-1]


def test_unknown_option_in_yaml(fit: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("model: {model_name: x}\n")
    assert "does not accept option 'model.model_name'" in fit("--config=wrong.yaml")
    callback = "{class_path: callbacks.LearningRateSchedule, init_args: {warm: 1}}"
    (tmp_path / "wrong.yaml").write_text(f"trainer: {{callbacks: [{callback}]}}\n")
    assert "`trainer.callbacks`: Option 'warm' is not accepted" in fit("--config=wrong.yaml")


def test_checkpoint_of_another_task(
    complain: Callable[..., str], tiny_model: str, tmp_path: Path, checkpoint: Path
) -> None:
    options = [*tiny_fit(tiny_model, tmp_path)[1:], f"--ckpt_path={checkpoint}"]
    sentence = complain("validate", *options, "--data.task_name=stsb")
    assert "trained for task 'stsb' (regression), but it was trained for 'mrpc'" in sentence
    sentence = complain("validate", *options, "--data.task_name=mnli")
    assert "3 labels: entailment, neutral, contradiction" in sentence


def test_damaged_checkpoints(
    complain: Callable[..., str], tiny_model: str, tmp_path: Path, checkpoint: Path
) -> None:
    whole = checkpoint.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for content in (whole[:middle], flipped, b"", b"no checkpoint"):
        (tmp_path / "damaged.ckpt").write_bytes(content)
        sentence = complain(
            "validate", *tiny_fit(tiny_model, tmp_path)[1:], "--ckpt_path=damaged.ckpt"
        )
        assert "'damaged.ckpt' is truncated or corrupted" in sentence


class _Pickled:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_a_pickle_is_refused_and_not_executed(
    complain: Callable[..., str], tiny_model: str, tmp_path: Path
) -> None:
    torch.save({"state_dict": _Pickled()}, tmp_path / "pickle.ckpt")
    sentence = complain("validate", *tiny_fit(tiny_model, tmp_path)[1:], "--ckpt_path=pickle.ckpt")
    assert "carries pickled objects, which could run code" in sentence
    assert not (tmp_path / "executed").exists()


def test_non_finite_loss_stops_and_keeps_the_last_good_checkpoint(
    complain: Callable[..., str], tiny_model: str, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    sentence = complain(
        *tiny_fit(tiny_model, root),
        "--model.learning_rate=1e30",
        "--checkpoint.every_n_steps=1",
        # Without warm-up the first step's weights overflow in the second.
        "--trainer.callbacks=[]",
    )
    assert "NaN or infinity at step 2" in sentence
    saved = torch.load(run_folder(root) / "checkpoints/last.ckpt")
    assert saved["global_step"] == 1


def test_a_full_disk_while_saving_costs_nothing(tiny_model: str, tmp_path: Path) -> None:
    fit = tiny_fit(tiny_model, tmp_path, "--checkpoint.every_n_steps=1", "--trainer.max_steps=3")
    command = [sys.executable, "-m", "lightning_app", *fit]
    subprocess.run(command, check=True, capture_output=True)
    file = run_folder(tmp_path) / "checkpoints/last.ckpt"
    before = file.read_bytes()

    def no_more_room() -> None:  # what a process may write to one file, in bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    result = subprocess.run(
        [*command, "--trainer.max_steps=6", "--ckpt_path=last"],
        preexec_fn=no_more_room,  # the child has one thread here
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "the one before it is kept" in result.stderr
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.unfinished"))
