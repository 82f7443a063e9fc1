import pytest

from lightning_app import optional_packages, precision
from lightning_app.commands.doctor import Doctor
from lightning_app.processor import Processor


def report(
    monkeypatch: pytest.MonkeyPatch, *features: str, bfloat16: bool = False, absent: str = ""
) -> str:
    here = Processor("A processor", 2, 8 * 2**30, frozenset(features))
    monkeypatch.setattr(Processor, "here", lambda: here)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(optional_packages, "is_installed", lambda package: package != absent)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return Doctor().run()


def test_an_old_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    text = report(monkeypatch, "AVX2", "AVX-512")
    assert "A processor, 2 cores for this process" in text
    assert "has        AVX2, AVX-512\n" in text
    assert "has not    VNNI, AVX512-BF16, AMX\n" in text
    assert "8.0 GiB" in text
    assert "in float32 (chosen by itself)" in text
    assert "no VNNI or AMX: 8-bit integers gain at most a third" in text
    assert "none that this PyTorch can use" in text


def test_a_new_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    text = report(monkeypatch, "AVX2", "AVX-512", "VNNI", "AVX512-BF16", "AMX", bfloat16=True)
    assert "has not" not in text
    assert "in bfloat16 (chosen by itself)" in text
    assert "VNNI or AMX multiplies 8-bit integers faster" in text
    assert "missing" not in text


def test_what_is_missing_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = report(monkeypatch, absent="onnxruntime")
    assert "onnx           float32, ONNX Runtime: fast; needs onnxruntime\n" in text
    assert "onnx       missing onnxruntime: pip install 'glint-text[onnx]'" in text
    assert "openvino   installed" in text
    assert "none of AVX2, AVX-512" in text


def test_a_gpu_changes_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    report(monkeypatch)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda number: f"GPU {number}")
    text = Doctor().run()
    assert "GPU        GPU 0, GPU 1" in text
    assert "on the GPU" in text
