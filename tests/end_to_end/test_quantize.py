"""`glint quantize` on a tiny fit, and what can be done with the checkpoint that it writes."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from lightning_app.__main__ import main
from lightning_app.run_folder import find_checkpoint
from modules import TextClassifier
from modules.fake_quantization import fake_quantized_modules
from tests.end_to_end.command import glint, run_folder, tiny_fit


@pytest.fixture(scope="module")
def run(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("quantize")
    glint(*tiny_fit(tiny_model, root), "--trainer.max_epochs=1")
    return run_folder(root)


def arguments(run: Path, name: str = "best", *more: str) -> list[str]:
    checkpoint = run / f"checkpoints/{name}.ckpt"
    return [f"--config={run}/config.yaml", f"--ckpt_path={checkpoint}", *more]


def test_from_a_checkpoint_to_a_quantized_one_and_on(run: Path) -> None:
    before = (run / "checkpoints/best.ckpt").read_bytes()
    options = {
        "quantize.observer": "entropy",
        "quantize.num_rows": 64,
        "quantize.max_drop": 0.05,
        "trainer.devices": 2,  # whatever the run was trained on, one device measures
    }
    more = (f"--{name}={value}" for name, value in options.items())
    done = glint("quantize", *arguments(run, "best", *more)).stdout
    assert (run / "checkpoints/best.ckpt").read_bytes() == before
    path = run / "checkpoints/quantized.ckpt"
    assert f"next: glint export --ckpt_path {path} --format openvino-int8 --output DIR" in done
    assert "static, entropy of 64 training rows" in done
    assert "on 96 training rows held back" in done  # all that calibration leaves of 160
    assert not list((run / "checkpoints").glob("*.unfinished"))

    table = json.loads(path.with_suffix(".json").read_text())
    assert len(table["search"]["costs"]) == 1 + 2 * 4
    assert path.with_suffix(".csv").read_text().count("\n") == 1 + 1 + 2 * 4
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

    checkpoint = torch.load(path, weights_only=True)
    assert not {"optimizer_states", "loops", "callbacks"} & set(checkpoint)
    entry = checkpoint["architecture"]["history"][-1]
    assert entry["operation"] == "quantize"
    assert (entry["by"], entry["observer"], entry["rows"]) == ("post-training", "entropy", 64)
    network = TextClassifier.load_from_checkpoint(path).network
    assert network is not None
    assert len(fake_quantized_modules(network)) == table["num_quantized"]

    score = table["after"]["score"]
    assert f"{score:.4f} quantized" in done
    validated = glint("validate", *arguments(run, "quantized")).stdout
    assert str(score)[:8] in validated
    answer = glint("predict", *arguments(run, "quantized"), "--text=good", "--text_pair=fine")
    assert "equivalent" in answer.stdout


def test_a_fit_starts_from_it_and_does_not_resume_it(run: Path, tmp_path: Path) -> None:
    glint("quantize", *arguments(run), "--quantize.overwrite=true", "--quantize.scheme=dynamic")
    path = run / "checkpoints/quantized.ckpt"
    refused = glint("fit", *arguments(run, "quantized"), expect=2)
    assert "holds a finished" in refused.stderr
    glint(*tiny_fit(path, tmp_path), "--trainer.max_epochs=1")
    fitted = torch.load(run_folder(tmp_path) / "checkpoints/best.ckpt", weights_only=True)
    assert len(fitted["architecture"]["quantization"]["modules"]) == 15
    root, name = run.parents[1], run.parent.name
    newest = find_checkpoint("last", root, name)
    assert newest is not None
    assert newest.name in ("last.ckpt", "best.ckpt")  # of one time


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ckpt_path=null"], "Expected `--ckpt_path` to quantize, got None"),
        (["--quantize.scheme=int8"], "quantize.scheme"),
        (["--quantize.include=[nothing]"], "`include` to match a linear layer or embedding"),
        (["--quantize.output=/dev/null/x.ckpt"], "Expected to write the checkpoint"),
        (["--quantize.max_drop=0.1", "--quantize.num_rows=160"], "`quantize.num_rows` to leave"),
        (["--quantize.observr=entropy"], "observr"),
        (["--data.task_name=stsb"], "trained for task 'stsb' (regression)"),
    ],
)
def test_a_mistake_is_one_sentence(
    run: Path,
    options: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["glint"])
    output = f"--quantize.output={tmp_path}/out.ckpt"
    assert main(["quantize", *arguments(run, "best", output, *options)]) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("glint: "))
    assert sentence in line
    assert not list(tmp_path.iterdir())


def test_what_is_quantized_or_there_already_is_refused(run: Path, tmp_path: Path) -> None:
    output = f"--quantize.output={tmp_path}/one.ckpt"
    weights = ("--quantize.scheme=weight_only", "--quantize.weight_bits=4")
    done = glint("quantize", *arguments(run, "best", output, *weights)).stdout
    assert re.search(r"weight_only: 15 modules quantized, 0 left", done)
    again = glint("quantize", *arguments(run, "best", output), expect=2).stderr
    assert "one.ckpt', which is there; choose another name" in again
    last = ("--ckpt_path", str(tmp_path / "one.ckpt"))
    other = f"--quantize.output={tmp_path}/two.ckpt"
    twice = glint("quantize", *arguments(run, "best", other), *last, expect=2).stderr
    assert "a model that is not quantized, got one with 15 quantized modules" in twice
