import math

import pytest
from scipy import stats

from lightning_app.functional.student_t import t_quantile, t_two_sided


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 10, 29, 100])
@pytest.mark.parametrize("t", [0.0, 0.3, -1.0, 2.5, 40.0])
def test_probability_is_scipys(t: float, degrees: int) -> None:
    expected = 2 * stats.t.sf(abs(t), degrees)
    assert t_two_sided(t, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 30])
@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.95, 0.999])
def test_quantile_is_scipys(confidence: float, degrees: int) -> None:
    expected = stats.t.ppf((1 + confidence) / 2, degrees)
    assert t_quantile(confidence, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_by_hand() -> None:
    # Of one degree it is Cauchy's: half of all values lie within 1.
    assert t_two_sided(1.0, 1) == pytest.approx(0.5)
    assert t_two_sided(math.inf, 3) == 0
    assert t_quantile(0.95, 4) == pytest.approx(2.776445, abs=1e-6)  # of every table


def test_refused() -> None:
    with pytest.raises(ValueError, match="`degrees` to be at least 1, got 0"):
        t_two_sided(1.0, 0)
    with pytest.raises(ValueError, match=r"`confidence` to be in \[0, 1\), got 1"):
        t_quantile(1.0, 3)
