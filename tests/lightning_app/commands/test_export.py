import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lightning_app
from lightning_app import optional_packages
from lightning_app.artifact.manifest import read_manifest
from lightning_app.commands import export as export_module
from lightning_app.commands.export import Export
from lightning_app.errors import InputError
from lightning_app.processor import Processor
from lightning_app.task import ProblemType
from modules import TextClassifier
from tests.lightning_app.artifact.tiny_checkpoint import (
    FLOAT_FORMATS,
    VARIANTS,
    built,
    mask_weights,
    needs,
    saved,
    task,
)

TEXTS = ["the film was good", "she hated it", "a", "", "the old house was sold , not the new one ."]
PAIRS = ["it was liked", "", "he saw the dog and the cat and the apple", "x", "why ?"]
FORMAT = pytest.mark.parametrize("format", FLOAT_FORMATS)

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)


def logits_of(checkpoint: Path, texts: list[str], pairs: list[str] | None) -> np.ndarray:
    """By the checkpoint's own tokenizer and network, each row alone."""
    model = TextClassifier.load_from_checkpoint(checkpoint)
    rows = []
    for number, text in enumerate(texts):
        columns = [[text]] + ([[pairs[number]]] if pairs is not None else [])
        encoded = model.tokenizer(*columns, return_tensors="pt", truncation=True, max_length=128)
        with torch.inference_mode():
            rows.append(model(**encoded).logits[0].numpy())
    return np.stack(rows)


@FORMAT
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_artifact_answers_as_its_checkpoint_alone_and_in_batches(
    format: Any, variant: str, tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    change, layout = VARIANTS[variant]
    model = built(tiny_model, task("no", "yes", "maybe"))
    change(model)
    checkpoint = saved(model, tmp_path / "x.ckpt")
    manifest = Export(str(checkpoint), str(tmp_path / "out"), format).run()
    assert manifest.layout == layout
    expected = logits_of(checkpoint, TEXTS, PAIRS)
    assert np.ptp(expected, axis=0).min() > 0.1, "rows that all get one answer would prove nothing"
    opened = lightning_app.load(tmp_path / "out", threads=1)
    for batch_size in (1, 2, 5, 32):
        found = opened.logits(TEXTS, PAIRS, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5)
    with torch.inference_mode():
        classified = TextClassifier.load_from_checkpoint(checkpoint).classify(TEXTS, PAIRS)
    for answer, reference in zip(opened(TEXTS, PAIRS), classified, strict=True):
        assert answer["label"] == reference["label"]
        assert answer["score"] == pytest.approx(reference["score"], abs=1e-5)
        assert answer["scores"] == pytest.approx(reference["scores"], abs=1e-5)


@FORMAT
def test_every_length_up_to_the_longest_works_and_longer_texts_are_cut(
    format: Any, tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    checkpoint = saved(built(tiny_model, task("no", "yes", columns=1)), tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), format).run()
    opened = lightning_app.load(tmp_path / "out")
    texts = ["good " * words for words in (1, 62, 125, 126, 127, 400)]
    expected = logits_of(checkpoint, texts, None)
    np.testing.assert_allclose(opened.logits(texts, batch_size=1), expected, rtol=0, atol=3e-5)
    np.testing.assert_array_equal(opened.logits(texts[3:])[0], opened.logits(texts[3:])[2])


@pytest.mark.parametrize(
    ("problem", "labels"),
    [("regression", ("score",)), ("multi_label_classification", ("a", "b", "c"))],
)
@FORMAT
def test_other_kinds_of_task(
    format: Any, problem: ProblemType, labels: tuple[str, ...], tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    model = built(tiny_model, task(*labels, problem=problem, columns=1))
    checkpoint = saved(model, tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), format).run()
    found = lightning_app.load(tmp_path / "out")(TEXTS)
    expected = TextClassifier.load_from_checkpoint(checkpoint).classify(TEXTS)
    for answer, reference in zip(found, expected, strict=True):
        assert answer.keys() == reference.keys()
        assert answer.get("label") == reference.get("label")
        assert answer["score"] == pytest.approx(reference["score"], abs=1e-5)


def test_the_uniform_layout_opens_in_plain_transformers(tiny_model: str, tmp_path: Path) -> None:
    from transformers import pipeline

    checkpoint = saved(built(tiny_model, task("no", "yes", columns=1)), tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), "hf", max_seq_length=16, measure=False).run()
    classify = pipeline("text-classification", str(tmp_path / "out"), device="cpu")
    expected = TextClassifier.load_from_checkpoint(checkpoint).classify(
        ["she liked it " * 20], max_seq_length=16
    )[0]
    (answer,) = classify(["she liked it " * 20], truncation=True)
    assert answer["label"] == expected["label"]
    assert answer["score"] == pytest.approx(expected["score"], abs=1e-5)


def test_the_free_layout_does_not_pretend_to(tiny_model: str, tmp_path: Path) -> None:
    model = built(tiny_model, task("no", "yes"))
    VARIANTS["pruned"][0](model)
    Export(str(saved(model, tmp_path / "x.ckpt")), str(tmp_path / "out"), measure=False).run()
    assert not (tmp_path / "out/config.json").exists()
    assert "not by `from_pretrained`" in " ".join((tmp_path / "out/README.md").read_text().split())


def test_the_manifest_says_what_was_exported(tiny_model: str, tmp_path: Path) -> None:
    model = built(tiny_model, task("no", "yes"))
    mask_weights(model)
    checkpoint = saved(model, tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), max_seq_length=20, measure=False).run()
    manifest = read_manifest(tmp_path / "out")
    network = model.network
    assert network is not None
    assert manifest.parameters == sum(p.numel() for p in network.parameters())
    assert manifest.nonzero_parameters == sum(int((p != 0).sum()) for p in network.parameters())
    assert manifest.task.label_names == ("no", "yes")
    assert manifest.max_seq_length == 20
    assert manifest.versions["torch"] == str(torch.__version__)
    assert manifest.architecture["history"] == [{"operation": "load", "from": tiny_model}]
    assert set(manifest.files) == {path.name for path in (tmp_path / "out").iterdir()} - {
        "manifest.json"
    }
    plain = json.loads((tmp_path / "out/manifest.json").read_text())
    assert plain["files"]["model.safetensors"]["size"] == (
        (tmp_path / "out/model.safetensors").stat().st_size
    )


@FORMAT
def test_no_file_tells_of_the_machine_that_wrote_it(
    format: Any, tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), format).run()
    package = str(Path(torch.__file__).parents[1]).encode()
    for file in (tmp_path / "out").iterdir():
        content = file.read_bytes()
        assert package not in content, file
        assert str(tmp_path).encode() not in content, file


@pytest.mark.parametrize("format", ["hf", "onnx"])
def test_the_card_says_how_fast_it_was_where(format: Any, tiny_model: str, tmp_path: Path) -> None:
    needs(format)
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "x.ckpt")
    manifest = Export(str(checkpoint), str(tmp_path / "out"), format).run()
    card = (tmp_path / "out/README.md").read_text()
    here = Processor.here()
    assert f"of the network alone on 128 tokens: {here.name}, {int(here.cores)} thread" in card
    runtime = {"hf": "torch", "onnx": "onnxruntime"}[format]
    assert f" {runtime} {manifest.versions[runtime]}." in card
    assert re.search(r"\| 1 row \| [\d.]+ ms \|\n\| 32 rows \| [\d.]+ ms \|", card)
    assert "manifest.json |" not in card
    assert read_manifest(tmp_path / "out") == manifest
    assert lightning_app.load(tmp_path / "out").difference_from_checkpoint() < 1e-4


def test_a_card_without_a_measurement_says_so(tiny_model: str, tmp_path: Path) -> None:
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), measure=False).run()
    assert "Not measured when it was exported" in (tmp_path / "out/README.md").read_text()


def test_what_is_there_stays_unless_told(tiny_model: str, tmp_path: Path) -> None:
    first = saved(built(tiny_model, task("no", "yes")), tmp_path / "first.ckpt")
    second = saved(built(tiny_model, task("a", "b", "c")), tmp_path / "second.ckpt")
    output = tmp_path / "out"
    Export(str(first), str(output), measure=False).run()
    before = (output / "manifest.json").read_bytes()
    with pytest.raises(InputError, match=r"holds an artifact; .* add `--overwrite`"):
        Export(str(second), str(output), measure=False).run()
    assert (output / "manifest.json").read_bytes() == before
    Export(str(second), str(output), overwrite=True, measure=False).run()
    assert lightning_app.load(output).task.num_labels == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first.ckpt", "out", "second.ckpt"]


def test_a_folder_of_other_things_is_never_replaced(tiny_model: str, tmp_path: Path) -> None:
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "out/x.ckpt")
    with pytest.raises(InputError, match="holds other files; choose another name"):
        Export(str(checkpoint), str(tmp_path / "out"), overwrite=True, measure=False).run()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["x.ckpt"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_model_that_answers_otherwise_leaves_nothing_behind(
    overwrite: bool, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "x.ckpt")
    if overwrite:
        Export(str(checkpoint), str(tmp_path / "out"), measure=False).run()
    before = sorted(tmp_path.rglob("*"))

    def write_wrongly(network: Any, manifest: Any, folder: Path) -> None:
        with torch.no_grad():
            network.get_parameter("classifier.bias").add_(1e-3)
        original(network, manifest, folder)

    from lightning_app.commands import artifact_writers

    original = artifact_writers.write_network
    monkeypatch.setattr(artifact_writers, "write_network", write_wrongly)
    with pytest.raises(InputError, match=r"to answer as the checkpoint does.* differs by"):
        Export(str(checkpoint), str(tmp_path / "out"), overwrite=overwrite, measure=False).run()
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupted_export_leaves_nothing_behind(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "x.ckpt")

    def interrupt(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "_check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Export(str(checkpoint), str(tmp_path / "out"), measure=False).run()
    assert [p.name for p in tmp_path.iterdir()] == ["x.ckpt"]


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_missing_package_is_named_with_its_group(
    format: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional_packages, "is_installed", lambda package: package != "onnxscript")
    with pytest.raises(
        InputError,
        match=rf"the package `onnxscript` for `--format {format}`, which is not installed;"
        rf" `pip install 'glint-text\[{format}\]'`",
    ):
        Export("never.ckpt", str(tmp_path / "out"), format).run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ckpt_path": "absent.ckpt"}, "Expected `--ckpt_path` to be a checkpoint file"),
        ({"max_seq_length": 129}, "at most 128, the longest input of this bert model, got 129"),
        ({"max_seq_length": 0}, "`--max_seq_length` to be at least 1, got 0"),
        ({"output": "/dev/null/out"}, "`--output` to be a folder to write to"),
        ({"output": "/dev/null"}, "`--output` to be a folder, got '/dev/null', a file or link"),
        (
            {"format": "pickle"},
            "among hf, torch, onnx, openvino, onnx-int8, openvino-int8, got",
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    options: dict[str, Any], sentence: str, tiny_model: str, tmp_path: Path
) -> None:
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "x.ckpt")
    arguments = {"ckpt_path": str(checkpoint), "output": str(tmp_path / "out"), **options}
    with pytest.raises(InputError, match=sentence):
        Export(**arguments, measure=False).run()


def test_a_checkpoint_that_answers_nothing_finite_is_refused(
    tiny_model: str, tmp_path: Path
) -> None:
    model = built(tiny_model, task("no", "yes"))
    assert model.network is not None
    with torch.no_grad():
        model.network.get_parameter("classifier.bias")[0] = float("nan")
    with pytest.raises(InputError, match="a checkpoint with finite answers"):
        Export(str(saved(model, tmp_path / "x.ckpt")), str(tmp_path / "out")).run()
    assert not (tmp_path / "out").exists()


FAMILIES = ("roberta", "distilbert", "electra", "albert", "mpnet", "deberta-v2")


@pytest.mark.parametrize("family", FAMILIES)
@FORMAT
def test_other_families(format: Any, family: str, tiny_model: str, tmp_path: Path) -> None:
    needs(format)
    from tests.lightning_app.artifact.tiny_families import tiny_family

    model = built(tiny_family(family, tiny_model, tmp_path / "base"), task("no", "yes"))
    checkpoint = saved(model, tmp_path / "x.ckpt")
    Export(str(checkpoint), str(tmp_path / "out"), format, max_seq_length=64, measure=False).run()
    opened = lightning_app.load(tmp_path / "out")
    np.testing.assert_allclose(
        opened.logits(TEXTS, PAIRS), logits_of(checkpoint, TEXTS, PAIRS), rtol=0, atol=3e-5
    )
