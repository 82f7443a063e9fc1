import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lightning_app
from lightning_app.__main__ import main
from lightning_app.artifact import onnx_network
from lightning_app.artifact.manifest import read_manifest
from lightning_app.commands.export import Export, FormatName
from lightning_app.commands.integer_modules import use_integers
from lightning_app.errors import InputError
from lightning_app.functional.quantization import quantize_weight
from lightning_app.processor import Processor
from modules import TextClassifier
from modules.fake_quantization import activation_parameters, apply_quantization
from modules.quantization import SCHEMES, ModuleQuantization, Quantization, Scheme
from tests.lightning_app.artifact.tiny_checkpoint import (
    FLOAT_FORMATS,
    INT8_FORMATS,
    VARIANTS,
    built,
    needs,
    quantize,
    saved,
    task,
)
from tests.lightning_app.commands.test_export import PAIRS, TEXTS, logits_of

INT8 = pytest.mark.parametrize("format", INT8_FORMATS)
SCHEME = pytest.mark.parametrize("scheme", SCHEMES)

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)


def checkpoint_of(
    tiny_model: str, folder: Path, scheme: Scheme, variant: str = "whole", **how: Any
) -> Path:
    model = built(tiny_model, task("no", "yes", "maybe"))
    VARIANTS[variant][0](model)
    quantize(model, scheme, **how)
    return saved(model, folder / "x.ckpt")


def written_layer(network: nn.Module, hidden: torch.Tensor, file: Path) -> Any:
    """A session of a network of linear layers, by its name of the input."""
    import onnxruntime

    use_integers(network, explicit_tokens=True)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq", max=64)}
    program = torch.export.export(network, (hidden,), dynamic_shapes=(sizes,))
    written: Any = torch.onnx.export(program, opset_version=20, dynamo=True, verbose=False)
    written.save(str(file), external_data=False)
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def grids(how: ModuleQuantization, hidden: np.ndarray) -> tuple[Any, Any]:
    """Scales and zero points of signed int8, by hand."""
    if how.scheme == "static":
        found = activation_parameters(how)
        assert found is not None
        return found
    low, high = hidden.min(-1, keepdims=True).clip(max=0), hidden.max(-1, keepdims=True).clip(min=0)
    scales = ((high - low) / np.float32(255)).clip(min=np.finfo(np.float32).tiny)
    return scales, -128 - np.round(low / scales)


@pytest.mark.parametrize("bits", [8, 7, 4])
@pytest.mark.parametrize("scheme", ["static", "dynamic"])
def test_a_layer_multiplies_integers_by_the_scales_of_both_sides(
    scheme: Scheme, bits: int, tmp_path: Path
) -> None:
    needs("onnx-int8")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(24, 10))
    weight, bias = (p.detach().clone() for p in network.parameters())
    bounds = (-1.5, 2.0) if scheme == "static" else None  # narrower than what comes
    how = ModuleQuantization(scheme, bits, activation_range=bounds)
    apply_quantization(network, Quantization({"0": how}))
    hidden = torch.randn(3, 7, 24)
    hidden[0, 0] = 0.0
    hidden[0, 1] = hidden[0, 1].abs() + 1
    scales, zeros = grids(how, hidden.numpy())
    steps = np.clip(np.round(hidden.numpy() / scales) + zeros, -128, 127) - zeros
    integers, row_scales = quantize_weight(weight, bits)
    sums = steps.astype(np.int64) @ integers.numpy().T.astype(np.int64)
    expected = (sums * scales) * row_scales.numpy().T + bias.numpy()
    session = written_layer(network, hidden, tmp_path / "x.onnx")
    (found,) = session.run(None, {"input": hidden.numpy()})
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6)


@INT8
@SCHEME
@pytest.mark.parametrize("variant", ["whole", "pruned_one_layer"])
def test_an_artifact_answers_as_the_simulation(
    format: FormatName, scheme: Scheme, variant: str, tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    checkpoint = checkpoint_of(tiny_model, tmp_path, scheme, variant)
    manifest = Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()
    assert manifest.architecture["quantization"] is not None
    assert manifest.schemes == {scheme, "weight_only"}
    expected = logits_of(checkpoint, TEXTS, PAIRS)
    tolerance = 1e-4 if scheme == "weight_only" else 0.1
    assert manifest.tolerance == (1e-4 if scheme == "weight_only" else 0.2)
    opened = lightning_app.load(tmp_path / "out", threads=1)
    for batch_size in (1, 5):
        found = opened.logits(TEXTS, PAIRS, batch_size=batch_size)
        difference = np.abs(found - expected).max() / np.abs(expected).max()
        assert difference < tolerance


# The exporter folds `weight_only` into floats where weights are as small as here.
@pytest.mark.parametrize("scheme", ["static", "dynamic"])
def test_weights_and_tables_are_int8_in_the_file(
    scheme: Scheme, tiny_model: str, tmp_path: Path
) -> None:
    needs("onnx-int8")
    import onnx

    checkpoint = checkpoint_of(tiny_model, tmp_path, scheme)
    Export(str(checkpoint), str(tmp_path / "out"), "onnx-int8", measure=False).run()
    held = onnx.load(str(tmp_path / "out/model.onnx")).graph.initializer
    shapes = [tuple(t.dims) for t in held if t.data_type == onnx.TensorProto.INT8]
    words = json.loads((Path(tiny_model) / "config.json").read_text())["vocab_size"]
    tables = [(words, 32), (128, 32), (2, 32)]
    linears = [(32, 48)] * 2 + [(48, 32)] * 2 + [(32, 32)] * 8
    assert sorted(shapes) == sorted(tables + linears)
    floats = [int(np.prod(t.dims)) for t in held if t.data_type == onnx.TensorProto.FLOAT]
    assert max(floats) <= 32 * 32  # the pooler, which is not quantized


@pytest.mark.parametrize("scheme", ["static", "dynamic"])
def test_onnx_runtime_takes_its_integer_kernels(
    scheme: Scheme, tiny_model: str, tmp_path: Path
) -> None:
    needs("onnx-int8")
    import onnx
    import onnxruntime

    checkpoint = checkpoint_of(tiny_model, tmp_path, scheme)
    Export(str(checkpoint), str(tmp_path / "out"), "onnx-int8", measure=False).run()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(
        str(tmp_path / "out/model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "optimized.onnx")).graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 12  # 6 linear layers in each of 2
    assert "DequantizeLinear" not in kinds


def test_openvino_takes_its_integer_kernels(tiny_model: str, tmp_path: Path) -> None:
    needs("openvino-int8")
    if not Processor.here().has_fast_int8:
        pytest.skip("this processor has no instruction for int8")
    import openvino

    checkpoint = checkpoint_of(tiny_model, tmp_path, "static")
    Export(str(checkpoint), str(tmp_path / "out"), "openvino-int8", measure=False).run()
    compiled = openvino.Core().compile_model(
        str(tmp_path / "out/model.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    operators = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    products = [o for o in operators if o["layerType"].get() == "FullyConnected"]
    assert sum(product["runtimePrecision"].get() == "u8" for product in products) == 12


@INT8
def test_slower_sums_are_exact_where_the_processor_would_overflow(
    format: FormatName, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(format)
    checkpoint = checkpoint_of(tiny_model, tmp_path, "static")
    Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()
    expected = lightning_app.load(tmp_path / "out").logits(TEXTS, PAIRS)
    old = Processor("old", 1, None, frozenset({"AVX2"}))
    monkeypatch.setattr(onnx_network.Processor, "here", lambda: old)
    found = lightning_app.load(tmp_path / "out").logits(TEXTS, PAIRS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("format", FLOAT_FORMATS)
@pytest.mark.parametrize("scheme", ["static", "dynamic"])
def test_a_float_format_leaves_the_rounding_out_and_says_so(
    format: FormatName, scheme: Scheme, tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    checkpoint = checkpoint_of(tiny_model, tmp_path, scheme, "pruned")
    manifest = Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()
    assert "quantization" not in manifest.architecture
    sentence = "It was trained with rounding to integers, which format"
    (note,) = manifest.notes
    assert note.startswith(sentence)
    assert f"- {note}" in (tmp_path / "out/README.md").read_text()
    model = TextClassifier.load_from_checkpoint(checkpoint)
    assert model.network is not None
    apply_quantization(model.network, None)
    expected = logits_of(saved(built_again(model), tmp_path / "plain.ckpt"), TEXTS, PAIRS)
    rounded = logits_of(checkpoint, TEXTS, PAIRS)
    assert np.abs(rounded - expected).max() > 1e-3
    found = lightning_app.load(tmp_path / "out").logits(TEXTS, PAIRS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5)


def test_the_summary_says_so_too(
    tiny_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = checkpoint_of(tiny_model, tmp_path, "weight_only")
    assert main(["export", f"--ckpt_path={checkpoint}", f"--output={tmp_path / 'out'}"]) == 0
    assert "\nnote: It was trained with rounding to integers, which" in capsys.readouterr().out


def built_again(model: TextClassifier) -> TextClassifier:
    assert model.architecture is not None
    model.architecture = model.architecture.with_quantization(None)
    return model


@INT8
def test_a_checkpoint_without_rounding_is_refused(
    format: FormatName, tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    checkpoint = saved(built(tiny_model, task("no", "yes")), tmp_path / "x.ckpt")
    with pytest.raises(
        InputError,
        match=rf"a quantized checkpoint for `--format {format}`, got one without rounding: run"
        r" `glint quantize` on it, or train with `callbacks.QuantizationAwareTraining`",
    ):
        Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()
    assert not (tmp_path / "out").exists()


@INT8
def test_groups_are_refused(format: FormatName, tiny_model: str, tmp_path: Path) -> None:
    needs(format)
    checkpoint = checkpoint_of(tiny_model, tmp_path, "weight_only", group_size=16, weight_bits=4)
    with pytest.raises(InputError, match=r"got groups of 16 in .*: quantize without `group_size`"):
        Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()


@INT8
@pytest.mark.parametrize(
    ("scheme", "bits", "warned"),
    [("static", 8, True), ("dynamic", 8, True), ("static", 7, False), ("weight_only", 8, False)],
)
def test_weights_that_overflow_on_old_processors_are_named(
    format: FormatName, scheme: Scheme, bits: int, warned: bool, tiny_model: str, tmp_path: Path
) -> None:
    needs(format)
    checkpoint = checkpoint_of(tiny_model, tmp_path, scheme, weight_bits=bits)
    manifest = Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()
    card = (tmp_path / "out/README.md").read_text()
    assert ("processors without VNNI" in " ".join(manifest.notes)) == warned
    assert ("`weight_bits: 7`" in card) == warned


@INT8
def test_a_changed_byte_is_refused(format: FormatName, tiny_model: str, tmp_path: Path) -> None:
    needs(format)
    checkpoint = checkpoint_of(tiny_model, tmp_path, "static")
    Export(str(checkpoint), str(tmp_path / "out"), format, measure=False).run()
    name = "model.onnx" if format == "onnx-int8" else "model.bin"
    file = tmp_path / "out" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="its SHA-256 is another"):
        lightning_app.load(tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    manifest["architecture"]["quantization"]["modules"] = {}
    (tmp_path / "out/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="it was changed or damaged"):
        read_manifest(tmp_path / "out")
