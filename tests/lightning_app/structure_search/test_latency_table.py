"""Predictions from times that are known."""

from typing import Any

import pytest

from lightning_app.errors import InputError
from lightning_app.structure_search import LatencyTable
from lightning_app.structure_search.latency_probes import ProbeGrid

GRID = ProbeGrid(heads=(1, 2), widths=(8, 16), lengths=(16, 32, 64, 160))
HEADS_AND_WIDTH = [(1, 8)]


def table(**facts: Any) -> LatencyTable:
    """Of one row a millisecond a token, and 100 more after a row of another length."""
    probes = GRID.probes(2)
    steady = [{n: float(n) for n in GRID.lengths} for _ in probes]
    changing = [{n: n + 100.0 for n in GRID.lengths} for _ in probes]
    return LatencyTable.of_times(GRID, probes, steady, changing, facts)


def test_one_length_is_not_prepared_anew() -> None:
    found = table(format="onnx-int8", batch_size=1)
    assert found.at(48).predict(HEADS_AND_WIDTH) == pytest.approx(48)
    assert found.at([48]).predict(HEADS_AND_WIDTH) == pytest.approx(148)
    assert found.at([16, 32, 32, 64]).predict(HEADS_AND_WIDTH) == pytest.approx(136)


def test_single_rows_of_openvino_are_padded() -> None:
    found = table(format="openvino-int8", batch_size=1)
    assert found.at(20).predict(HEADS_AND_WIDTH) == pytest.approx(32)
    assert found.at([20, 33, 129]).predict(HEADS_AND_WIDTH) == pytest.approx((82 + 98 + 229) / 3)
    rows = table(format="openvino-int8", batch_size=8)
    assert rows.at([20]).predict(HEADS_AND_WIDTH) == pytest.approx(120)


@pytest.mark.parametrize("lengths", [[], [0], 161, [16, 161]])
def test_lengths_beyond_what_was_measured_are_refused(lengths: Any) -> None:
    with pytest.raises(InputError, match=r"one or more lengths in \[1, 160\]"):
        table(format="openvino", batch_size=1).at(lengths)
