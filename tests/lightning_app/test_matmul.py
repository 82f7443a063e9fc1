from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lightning_app import matmul
from lightning_app.matmul import onednn_is_better, onednn_matmul


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("GLINT_CACHE", str(tmp_path))
    onednn_is_better.cache_clear()
    yield
    onednn_is_better.cache_clear()


def settings() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize("chosen", [True, False])
def test_settings_come_back(monkeypatch: pytest.MonkeyPatch, chosen: bool) -> None:
    monkeypatch.setattr(matmul, "onednn_is_better", lambda: chosen)
    before = settings()
    with onednn_matmul() as answer:
        assert answer is chosen
        assert settings() == (("medium", False) if chosen else before)
    assert settings() == before


def test_settings_come_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "onednn_is_better", lambda: True)
    before = settings()
    with pytest.raises(KeyError, match="inside"), onednn_matmul():
        raise KeyError("inside")
    assert settings() == before


def test_products_keep_the_precision_of_float32() -> None:
    left, right = torch.randn(100, 300), torch.randn(300, 200)
    exact = left.double() @ right.double()
    with onednn_matmul():
        error = ((left @ right).double() - exact).abs().max() / exact.abs().max()
    assert error < 1e-5


@pytest.mark.parametrize(
    ("default_seconds", "onednn_seconds", "better"),
    [(2.0, 1.0, True), (1.3, 1.0, False), (1.0, 1.0, False)],
)
def test_chooses_by_the_clock(
    monkeypatch: pytest.MonkeyPatch, default_seconds: float, onednn_seconds: float, better: bool
) -> None:
    monkeypatch.setattr(matmul, "_least_seconds", lambda _: (default_seconds, onednn_seconds))
    monkeypatch.setattr(matmul, "_MAX_ERROR", 1.0)  # whatever this CPU has
    assert onednn_is_better() is better


def test_the_first_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run rounds as the run did, however busy the machine is by then."""
    monkeypatch.setattr(matmul, "_MAX_ERROR", 1.0)
    monkeypatch.setattr(matmul, "_least_seconds", lambda _: (1.0, 1.0))
    assert onednn_is_better() is False
    onednn_is_better.cache_clear()
    monkeypatch.setattr(matmul, "_least_seconds", lambda _: (2.0, 1.0))
    assert onednn_is_better() is False


def test_chooses_where_the_cache_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GLINT_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(matmul, "_MAX_ERROR", 1.0)
    monkeypatch.setattr(matmul, "_least_seconds", lambda _: (2.0, 1.0))
    assert onednn_is_better() is True


def test_refuses_less_than_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "_least_seconds", lambda _: (2.0, 1.0))
    monkeypatch.setattr(matmul, "_MAX_ERROR", 0.0)
    assert onednn_is_better() is False


def test_probe_leaves_settings_and_generator_alone() -> None:
    before, state = settings(), torch.get_rng_state()
    onednn_is_better()
    assert settings() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_a_busy_moment_counts_against_neither_library(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([t for start in range(80) for t in (start, start + (0.9 if start < 40 else 0.3))])
    monkeypatch.setattr(matmul.time, "perf_counter", lambda: next(clock))
    default_seconds, onednn_seconds = matmul._least_seconds(lambda: torch.ones(1), 40)
    assert default_seconds == pytest.approx(0.3)
    assert onednn_seconds == pytest.approx(0.3)
