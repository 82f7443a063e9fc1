"""`glint export`, `glint predict --artifact` and `glint doctor` as a user runs them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lightning_app
from lightning_app.__main__ import main
from tests.end_to_end.command import glint, run_folder, tiny_fit
from tests.lightning_app.artifact.tiny_checkpoint import FLOAT_FORMATS, needs

TEXTS = ("--text=The film was good.", "--text_pair=She liked it.")


@pytest.fixture(scope="module")
def run(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit with pruned heads and neurons, whose base model is gone."""
    root = tmp_path_factory.mktemp("export")
    shutil.copytree(tiny_model, root / "base")
    pruning = (
        "--trainer.callbacks+=callbacks.StructuredPruning",
        "--trainer.callbacks.neurons=0.5",
    )
    glint(*tiny_fit(root / "base", root), "--trainer.max_epochs=1", *pruning)
    shutil.rmtree(root / "base")
    return run_folder(root)


@pytest.mark.parametrize("format", FLOAT_FORMATS)
def test_from_a_fit_to_an_answer(format: str, run: Path, tmp_path: Path) -> None:
    needs(format)
    checkpoint = run / "checkpoints/best.ckpt"
    output = tmp_path / "out"
    options = (f"--ckpt_path={checkpoint}", f"--format={format}", f"--output={output}")
    done = glint("export", *options, "--no_measure")
    assert f"{output}: {format}, " in done.stdout
    assert f"next: glint predict --artifact {output} --text ... --text_pair ..." in done.stdout
    assert "Warning" not in done.stderr
    assert lightning_app.load(output).manifest.max_seq_length == 64  # of configs/demo.yaml
    card = (output / "README.md").read_text()
    best = json.loads((run / "metrics.json").read_text())["best"]
    assert f"| val/score | {best['val/score']:.4f} |" in card
    assert "prune_structure" in card

    answered = glint("predict", f"--artifact={output}", *TEXTS, "--threads=1")
    config = (f"--config={run}/config.yaml", f"--ckpt_path={checkpoint}")
    expected = glint("predict", *config, *TEXTS)
    assert answered.stdout == expected.stdout
    assert not answered.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export"], "are required: ckpt_path, output"),
        (["export", "--ckpt_path=x.ckpt", "--output=o"], "to be a checkpoint file, got 'x.ckpt'"),
        (["export", "--ckpt_path=x.ckpt", "--output=o", "--format=gguf"], "format"),
        (["export", "--ckpt_path=x.ckpt", "--outptu=o"], "outptu"),
        (["predict", "--artifact=absent", "--text=a"], "a folder written by `glint export`"),
        (["predict", "--artifact", "absent"], "`--text` to answer on the terminal"),
        (["predict", "--artifact=absent", "--text=a", "--threads=0"], "`threads` to be at least"),
        (["doctor", "--now"], "now"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["glint"])
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("glint: ")
    assert errors.count("\n") == 1
    assert sentence in errors
    assert not list(tmp_path.iterdir())


def test_an_artifact_in_a_configuration_file_is_sent_to_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("artifact: out\n")
    monkeypatch.setattr(sys, "argv", ["glint"])
    assert main(["predict", f"--config={tmp_path}/config.yaml"]) == 2
    assert "Expected `--artifact` on the command line, got 'out'" in capsys.readouterr().err


HELP = """
import sys
from lightning_app.__main__ import main
try:
    main([sys.argv[1], "--help"])
finally:
    slow = {"torch", "transformers", "lightning", "onnx", "openvino"} & set(sys.modules)
    assert not slow, slow
"""


@pytest.mark.parametrize("command", ["export", "benchmark", "doctor"])
def test_help_imports_nothing_slow(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP, command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: glint {command}" in done.stdout
    assert ("--overwrite" in done.stdout) is (command == "export")


def test_help_of_predict_names_the_artifact() -> None:
    assert "--artifact" in glint("predict", "--help").stdout


def test_the_doctor_speaks_of_this_machine() -> None:
    text = glint("doctor").stdout
    for name in ("machine", "training", "exported models", "optional groups", *FLOAT_FORMATS):
        assert name in text


def test_only_overwrite_replaces_what_is_there(run: Path, tmp_path: Path) -> None:
    checkpoint = f"--ckpt_path={run}/checkpoints/best.ckpt"
    command = ("export", checkpoint, f"--output={tmp_path}/out", "--no_measure")
    glint(*command)
    done = glint(*command, "--max_seq_length=32", expect=2)
    assert done.stderr.startswith("glint: Expected `--output` to be a new folder")
    assert lightning_app.load(tmp_path / "out").manifest.max_seq_length == 64
    glint(*command, "--max_seq_length=32", "--overwrite")
    assert lightning_app.load(tmp_path / "out").manifest.max_seq_length == 32
