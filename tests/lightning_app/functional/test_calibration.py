import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from lightning_app.functional.calibration import expected_calibration_error


def test_by_hand() -> None:
    # Two bins. (0, 0.5]: 0.3 and 0.5, one right: |0.8 - 1|. (0.5, 1]: 0.9 and 0.7, both wrong: 1.6.
    confidences = torch.tensor([0.3, 0.9, 0.5, 0.7])
    hits = torch.tensor([True, False, False, False])
    found = expected_calibration_error(confidences, hits, num_bins=2)
    assert found == pytest.approx((0.2 + 1.6) / 4)


def test_sure_and_right_is_no_error_and_sure_and_wrong_is_all() -> None:
    assert expected_calibration_error(torch.ones(4), torch.ones(4)) == 0
    assert expected_calibration_error(torch.ones(4), torch.zeros(4)) == 1
    assert expected_calibration_error(torch.zeros(4), torch.zeros(4)) == 0


def test_it_is_that_of_torchmetrics() -> None:
    confidences, hits = torch.rand(500), torch.randint(2, (500,))
    expected = binary_calibration_error(confidences, hits, n_bins=15, norm="l1")
    assert expected_calibration_error(confidences, hits) == pytest.approx(float(expected), abs=1e-5)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row, got none"):
        expected_calibration_error(torch.tensor([]), torch.tensor([]))
