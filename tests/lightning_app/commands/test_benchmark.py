import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lightning_app
from lightning_app.__main__ import main
from lightning_app.artifact import loading
from lightning_app.artifact.formats import FORMATS
from lightning_app.artifact.manifest import MANIFEST, read_manifest, write_manifest
from lightning_app.commands import benchmark as benchmark_module
from lightning_app.commands.baseline_model import baseline_model
from lightning_app.commands.benchmark import Benchmark
from lightning_app.commands.benchmark_runner import Contender, Runner
from lightning_app.commands.benchmark_text import benchmark_text
from lightning_app.commands.export import Export
from lightning_app.commands.worker import Worker
from lightning_app.errors import InputError
from lightning_app.processor import FEATURE_NAMES, Processor
from tests.lightning_app.artifact.tiny_checkpoint import built, mask_weights, needs, saved, task

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)

QUICK: dict[str, Any] = {"rounds": 5, "seconds": 0.05, "threads": [1]}
ROWS = [
    ("the film was good", "it was liked", "yes"),
    ("she hated it", "", "no"),
    ("a", "he saw the dog and the cat and the apple", "yes"),
    ("the old house was sold , not the new one .", "why ?", "no"),
    ("a very good movie", "a very bad movie", "yes"),
    ("the dog ate the apple", "the apple was eaten", "no"),
]


@pytest.fixture(scope="module")
def exported(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `x.ckpt`, its artifacts `hf` and `onnx`, and `rows.csv`."""
    needs("onnx")
    root = tmp_path_factory.mktemp("benchmark")
    model = built(tiny_model, task("no", "yes"))
    mask_weights(model)
    checkpoint = saved(model, root / "x.ckpt")
    for format in ("hf", "onnx"):
        Export(str(checkpoint), str(root / format), format, measure=False).run()  # type: ignore[arg-type]
    lines = ["text,second,label", *(",".join(f'"{cell}"' for cell in row) for row in ROWS)]
    (root / "rows.csv").write_text("\n".join(lines).replace('""', '"?"') + "\n")
    return root


class InProcess:
    """As `Worker`, in this process; the networks of `slow` wait before they answer."""

    slow = ""

    def __init__(self, contender: Contender, threads: int, rows_file: str | None = None) -> None:
        self.contender, self.memory_loaded = contender, 5 * 10**6
        self.runner = Runner(contender, threads, rows_file)
        if contender.name == self.slow:
            network = self.runner.model.network
            self.runner.model._network = lambda batch: (time.sleep(0.004), network(batch))[1]

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = {} if request["do"] == "memory" else self.runner.answer(request)
        return {**json.loads(json.dumps(answer)), "memory": 7 * 10**6}

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[InProcess]]:
    monkeypatch.setattr(benchmark_module, "Worker", InProcess)
    yield InProcess
    InProcess.slow = ""


def changed_copy(folder: Path, target: Path, **changes: Any) -> Path:
    """An artifact with another manifest."""
    shutil.copytree(folder, target)
    manifest = replace(read_manifest(folder), **changes)
    (target / MANIFEST).unlink()
    write_manifest(manifest, target)
    return target


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["glint"])
    return main(["benchmark", *arguments])


QUICK_OPTIONS = ("--rounds=5", "--seconds=0.05", "--threads", "1", "--batch_size", "1")


def test_artifacts_in_processes_of_their_own(exported: Path, tmp_path: Path) -> None:
    output = tmp_path / "new/out.json"
    result = Benchmark(
        [str(exported / "onnx"), str(exported / "hf")],
        batch_size=[1, 3],
        length=[16, "task"],
        data=str(exported / "rows.csv"),
        output=str(output),
        **QUICK,
    ).run()
    found = json.loads(output.read_text())
    assert sorted(path.name for path in output.parent.iterdir()) == ["out.json", "out.png"]
    assert (tmp_path / "new/out.png").read_bytes().startswith(b"\x89PNG")
    assert found == json.loads(json.dumps(result.as_plain()))
    assert found["processor"]["name"] == Processor.here().name
    assert set(found["processor"]["features"]) == set(FEATURE_NAMES)
    assert found["data"] == {"source": str(exported / "rows.csv"), "rows": 6}
    assert found["failures"] == []
    first, second = found["artifacts"]
    assert [first["name"], second["name"]] == ["onnx", "hf"]
    assert first["runtime"].startswith("onnxruntime ")
    for artifact in (first, second):
        manifest = read_manifest(exported / artifact["name"])
        assert artifact["size_mb"] == pytest.approx(manifest.size / 1e6)
        assert artifact["nonzero"] == artifact["nominal_nonzero"] == manifest.nonzero_parameters
        assert artifact["nonzero_share"] < 0.9
        assert artifact["peak_mb"] >= artifact["loaded_mb"] > 10
        assert artifact["load_seconds"] > 0
        cells = [(c["cell"]["batch_size"], c["cell"]["length"]) for c in artifact["cells"]]
        assert cells == [(1, 16), (3, 16), (1, None), (3, None)]
        for cell in artifact["cells"]:
            check_cell(cell, is_first=artifact is first)
        assert set(artifact["scores"]["metrics"]) == {"accuracy", "f1", "matthews", "score"}
        assert artifact["scores"]["flipped"] == 0
        assert artifact["scores"]["largest_difference"] < 1e-4
    # PyTorch is not in the process that needs none.
    assert first["loaded_mb"] < second["loaded_mb"] / 2
    text = benchmark_text(result)
    for line in ("whole call, batch 3, the task's lengths, 1 thread", "answers to", "VNNI"):
        assert line in text


def check_cell(cell: dict[str, Any], is_first: bool) -> None:
    network, size = cell["network"], cell["cell"]["batch_size"]
    assert cell["calls"] % 5 == 0
    assert len(network["rounds_ms"]) == 5
    assert 0 < network["p50_ms"] <= network["p95_ms"] <= network["p99_ms"]
    assert network["median_ms"]["low"] <= network["median_ms"]["high"]
    assert network["rows_per_second"] > size / (network["p99_ms"] / 1000) / 10
    assert (cell["ratio_to_first"] is None) is is_first
    is_task = cell["cell"]["length"] is None
    assert (cell["call"] is not None) is (cell["tokenization"] is not None) is is_task


def test_accuracy_and_calibration_are_those_of_the_answers(exported: Path, in_process: Any) -> None:
    data = str(exported / "rows.csv")
    result = Benchmark([str(exported / "onnx")], data=data, **QUICK).measure()
    answers = lightning_app.load(exported / "onnx")(
        [row[0] for row in ROWS], [row[1] or "?" for row in ROWS]
    )
    hits = [answer["label"] == row[2] for answer, row in zip(answers, ROWS, strict=True)]
    scores = result.artifacts[0].scores
    assert scores is not None
    accuracy = scores.metrics["accuracy"]
    assert accuracy.value == pytest.approx(np.mean(hits))
    assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1
    bins: dict[int, float] = {}
    for answer, hit in zip(answers, hits, strict=True):
        place = int(np.ceil(answer["score"] * 15))
        bins[place] = bins.get(place, 0) + answer["score"] - hit
    assert scores.calibration_error == pytest.approx(sum(map(abs, bins.values())) / 6, abs=1e-6)


def test_without_labels_answers_are_compared_alone(
    exported: Path, tmp_path: Path, in_process: Any
) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text("text\tsecond\n" + "".join(f"{a}\t{b or '?'}\n" for a, b, _ in ROWS))
    folders = [str(exported / "onnx"), str(exported / "hf")]
    result = Benchmark(folders, data=str(file), max_rows=4, batch_size=[2], **QUICK).measure()
    assert result.data["rows"] == 4
    scores = result.artifacts[1].scores
    assert scores is not None
    assert not scores.metrics
    assert scores.flipped == 0
    assert scores.calibration_error is None
    assert "flipped" in benchmark_text(result)


def int8_twin(exported: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(FORMATS, "onnx-int8", FORMATS["onnx"])
    monkeypatch.setitem(loading._OPENERS, "onnx-int8", loading._OPENERS["onnx"])
    return changed_copy(exported / "onnx", folder, format="onnx-int8")


def test_slow_int8_is_exit_code_1(
    exported: Path,
    tmp_path: Path,
    in_process: type[InProcess],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    int8 = int8_twin(exported, tmp_path / "small", monkeypatch)
    in_process.slow = "small"
    folders = (str(exported / "onnx"), str(int8))
    assert command(monkeypatch, *folders, *QUICK_OPTIONS, f"--output={tmp_path}/b.json") == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith(
        "glint: Expected 'small' (onnx-int8) to be no slower than 'onnx' (onnx), got "
    )
    assert "at batch 1, 128 tokens, 1 thread; on this processor use 'onnx'." in said.err
    assert "slower" in said.out
    assert f"written: {tmp_path}/b.json, {tmp_path}/b.png" in said.out
    assert len(json.loads((tmp_path / "b.json").read_text())["failures"]) == 1


def test_slow_float32_and_int8_of_another_checkpoint_are_none(
    exported: Path, tmp_path: Path, in_process: type[InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    int8 = int8_twin(exported, tmp_path / "small", monkeypatch)
    options = (*QUICK_OPTIONS, f"--output={tmp_path}/b.json")
    in_process.slow = "onnx"
    assert command(monkeypatch, str(exported / "onnx"), str(int8), *options) == 0
    in_process.slow = "other"
    other = changed_copy(int8, tmp_path / "other", checkpoint={"file": "x", "sha256": "another"})
    assert command(monkeypatch, str(exported / "onnx"), str(other), *options) == 0
    assert command(monkeypatch, str(exported / "hf"), str(int8), *options) == 0


@pytest.mark.parametrize("format", ["hf", "onnx"])
def test_other_sparsity_is_exit_code_1(
    format: str,
    exported: Path,
    tmp_path: Path,
    in_process: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = changed_copy(exported / format, tmp_path / "dense", nonzero_parameters=12_345)
    output = f"--output={tmp_path}/b.json"
    assert command(monkeypatch, str(folder), *QUICK_OPTIONS, output) == 1
    actual = read_manifest(exported / format).nonzero_parameters
    errors = capsys.readouterr().err
    assert "Expected 12,345 of 24,194 weights of 'dense' not to be zero, as its man" in errors
    assert f"got {actual:,}; export it again." in errors


def test_baselines_answer_as_the_artifact(
    exported: Path, in_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr("torch.compile", lambda network: compiled.append(network) or network)
    result = Benchmark(
        [str(exported / "onnx")],
        data=str(exported / "rows.csv"),
        baseline=["eager", "compile"],
        ckpt_path=str(exported / "x.ckpt"),
        **QUICK,
    ).measure()
    assert [artifact.name for artifact in result.artifacts] == ["onnx", "eager", "compile"]
    assert len(compiled) == 1
    for artifact in result.artifacts[1:]:
        assert artifact.size_mb is None
        assert artifact.folder == str(exported / "x.ckpt")
        assert artifact.scores is not None
        assert artifact.scores.largest_difference < 1e-4
    assert not result.failures


def test_a_baseline_has_the_attention_of_transformers(exported: Path) -> None:
    like = read_manifest(exported / "onnx")
    network: Any = baseline_model("eager", exported / "x.ckpt", like, 1).network
    assert network.module.config._attn_implementation == "sdpa"
    ours: Any = lightning_app.load(exported / "hf").network
    assert ours.module.config._attn_implementation not in ("sdpa", "eager")


def test_a_baseline_of_another_task_is_refused(exported: Path) -> None:
    like = read_manifest(exported / "onnx")
    other = replace(like, task=task("a", "b"))
    with pytest.raises(InputError, match="`--ckpt_path` to be of the artifacts' task 'own'"):
        baseline_model("eager", exported / "x.ckpt", other, 1)


def test_threads_are_measured_one_after_the_other(exported: Path, in_process: Any) -> None:
    options = {**QUICK, "threads": [1, 2, 1], "batch_size": [2]}
    result = Benchmark([str(exported / "onnx")], **options).measure()
    assert [cell.threads for cell in result.cells] == [1, 2]


def test_names_tell_folders_apart(exported: Path, in_process: Any) -> None:
    folder = str(exported / "onnx")
    result = Benchmark([folder, folder], batch_size=[1], **QUICK).measure()
    assert [artifact.name for artifact in result.artifacts] == [folder, f"{folder} (2)"]


def test_a_process_that_dies_is_one_sentence(exported: Path) -> None:
    with Worker(Contender("onnx", str(exported / "onnx")), 1) as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(InputError, match="'onnx' to be measured, but its process ended"):
            worker.ask({"do": "describe", "cell": None})


MISTAKES: list[tuple[list[str], str]] = [
    ([], "artifacts"),
    (["absent"], "a folder written by `glint export`, got 'absent'"),
    (["ONNX", "--rounds=4"], "`--rounds` to be at least 5, got 4"),
    (["ONNX", "--seconds=0"], "`--seconds` to be above 0, got 0"),
    (["ONNX", "--batch_size", "1", "0"], "`--batch_size` to be at least 1, got 0"),
    (["ONNX", "--length", "129"], "`--length` to be at most 128, the maximum of"),
    (["ONNX", "--length", "3"], "`--length` to be at least 4, got 3"),
    (["ONNX", "--length", "task"], "`--data` with `--length task`, got none"),
    (["ONNX", "--length", "long"], "length"),
    (["ONNX", "--threads", "0"], "`--threads` to be at least 1, got 0"),
    (["ONNX", "--max_rows=0"], "`--max_rows` to be at least 1, got 0"),
    (["ONNX", "--max_rows=9"], "`--data` with `--max_rows`, got none"),
    (["ONNX", "--output=b.txt"], "`--output` to end in .json, got 'b.txt'"),
    (["ONNX", "--output=/dev/null/b.json"], "`--output` to be a file to write"),
    (["ONNX", "--baseline", "eager"], "`--ckpt_path` with `--baseline`, got one without"),
    (["ONNX", "--baseline", "slow"], "baseline"),
    (["ONNX", "--data=absent.csv"], "`--data` to be a file, got 'absent.csv'"),
    (["ONNX", "--data=."], "a file as `--data` for task 'own', as a folder holds GLUE's"),
    (["ONNX", "OTHER", "--data=absent.csv"], "artifacts of one task with `--data`"),
    (["ONNX", "DAMAGED"], "bytes in"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(
    arguments: list[str],
    sentence: str,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    folders = {"ONNX": exported / "onnx", "OTHER": tmp_path / "o", "DAMAGED": tmp_path / "d"}
    if "OTHER" in arguments:
        changed_copy(exported / "onnx", tmp_path / "o", task=task("a", "b"))
    if "DAMAGED" in arguments:
        shutil.copytree(exported / "onnx", tmp_path / "d")
        (tmp_path / "d/model.onnx").write_bytes(b"damaged")
    assert command(monkeypatch, *(str(folders.get(a, a)) for a in arguments)) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("glint: ")
    assert errors.count("\n") == 1
    assert sentence in errors
    assert not list(working.iterdir())
