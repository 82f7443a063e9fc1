"""Artifacts open in a process of their own, without Lightning."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_app
from lightning_app import optional_packages
from lightning_app.artifact import onnx_network, openvino_network
from lightning_app.artifact.formats import FORMATS
from lightning_app.artifact.torch_threads import torch_threads
from lightning_app.commands.export import Export
from lightning_app.errors import InputError
from tests.lightning_app.artifact.tiny_checkpoint import VARIANTS, built, needs, saved, task

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)

OF_TORCHAO = re.compile("torchao|register_constant")
SCRIPT = """
import json, sys
import lightning_app
model = lightning_app.load(sys.argv[1], threads=1)
answers = model(["the film was good", "a"], ["she liked it", "b"])
names = ("lightning", "pytorch_lightning", "datasets", "torch", "transformers")
print(json.dumps({"answers": answers, "imported": [n for n in names if n in sys.modules]}))
"""


def export(tiny_model: str, tmp_path: Path, format: Any, variant: str = "whole") -> Path:
    needs(format)
    model = built(tiny_model, task("no", "yes"))
    VARIANTS[variant][0](model)
    checkpoint = saved(model, tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()
    checkpoint.unlink()
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("format", "variant", "imported"),
    [
        ("hf", "whole", {"torch", "transformers"}),
        ("hf", "pruned", {"torch", "transformers"}),
        ("torch", "whole", {"torch"}),
        ("onnx", "whole", set()),
        ("openvino", "whole", set()),
    ],
)
def test_it_needs_neither_the_checkpoint_nor_lightning(
    format: str, variant: str, imported: set[str], tiny_model: str, tmp_path: Path
) -> None:
    folder = export(tiny_model, tmp_path, format, variant)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said["imported"]) == imported
    texts = (["the film was good", "a"], ["she liked it", "b"])
    assert said["answers"] == lightning_app.load(folder, 1)(*texts)
    # `transformers` imports torchao where it is, as here for tests, and that has its own say.
    assert not [line for line in done.stderr.splitlines() if not OF_TORCHAO.search(line)]


def test_threads_reach_onnx_runtime(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export(tiny_model, tmp_path, "onnx")
    import onnxruntime

    seen: list[int] = []
    session = onnxruntime.InferenceSession

    def watched(path: str, options: Any, providers: list[str]) -> Any:
        seen.append(options.intra_op_num_threads)
        return session(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watched)
    lightning_app.load(folder, threads=3)
    lightning_app.load(folder)
    assert seen == [3, 0]
    assert onnx_network.ONNXNetwork.__name__ == "ONNXNetwork"


def test_threads_and_float32_reach_openvino(tiny_model: str, tmp_path: Path) -> None:
    folder = export(tiny_model, tmp_path, "openvino")
    import openvino

    network = lightning_app.load(folder, threads=1)._network
    assert isinstance(network, openvino_network.OpenVINONetwork)
    compiled = network._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32


def test_threads_of_pytorch_are_given_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with torch_threads(None):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_at_least_one(threads: int) -> None:
    with pytest.raises(InputError, match=f"`threads` to be at least 1, got {threads}"):
        lightning_app.load("anything", threads)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_missing_runtime_is_named_with_its_group(
    format: str, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export(tiny_model, tmp_path, format)
    (runtime,) = FORMATS[format].to_run
    monkeypatch.setattr(optional_packages, "is_installed", lambda package: package != runtime)
    with pytest.raises(
        InputError,
        match=rf"the package `{runtime}` for an artifact of format {format}, which is not"
        rf" installed; `pip install 'glint-text\[{format}\]'`",
    ):
        lightning_app.load(folder)
