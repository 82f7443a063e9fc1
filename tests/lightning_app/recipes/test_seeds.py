"""Means over seeds, and losses seed by seed."""

from pathlib import Path

import pytest

from lightning_app.recipes.seeds import over_seeds, seeds_text
from tests.lightning_app.recipes.test_result import artifact, result_of


def test_losses_are_paired_and_speeds_averaged(tmp_path: Path) -> None:
    results = [
        result_of(tmp_path / str(seed), artifact("small", "onnx-int8", ms, score))
        for seed, (ms, score) in enumerate([(1.0, 0.89), (2.0, 0.87), (4.0, 0.88)])
    ]
    (small,) = over_seeds(results)
    assert small.score is not None
    assert small.score.mean == pytest.approx(0.88)
    assert small.change is not None
    assert small.change.difference.mean == pytest.approx(-0.02)
    assert small.change.difference.std == pytest.approx(0.01)
    assert small.speedup is not None
    assert small.speedup.mean == pytest.approx((8 + 4 + 2) / 3)
    text = seeds_text([small], [1, 2, 3])
    assert "small: score 0.8800 (0.8552 to 0.9048); against dense -0.0200 (-0.0448 to" in text
    assert "within the noise" in text


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    (small,) = over_seeds([result_of(tmp_path, artifact("small", "onnx-int8", 1.0, 0.89))])
    assert "score 0.8900; against dense -0.0100" in seeds_text([small], [1])
