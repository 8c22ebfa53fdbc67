"""Confidence is compared with how often it was right, bin by bin."""

import numpy as np
import pytest

from exporter.evaluation.calibration import Calibration, calibration
from exporter.evaluation.results import ConfidenceBin


def test_a_diagram_counted_by_hand():
    """Bin 8 (above 0.7 to 0.8): said 0.8, right 3 of 4; bin 10: said 0.95, right 1 of 2; bin 1: said 0.05, right 0 of 2.

    The error is (4 × 0.05 + 2 × 0.45 + 2 × 0.05) / 8 = 0.15.
    """
    confidence = np.array([0.8, 0.8, 0.8, 0.8, 0.9 + 1e-9, 1.0 - 1e-9, 0.0, 0.1])
    correct = np.array([True, True, False, True, True, False, False, False])
    found = calibration(confidence, correct)
    assert found.error == pytest.approx(0.15)
    assert [one.count for one in found.bins] == [2, 4, 2]
    assert [one.confidence for one in found.bins] == pytest.approx([0.05, 0.8, 0.95])
    assert [one.right for one in found.bins] == pytest.approx([0.0, 0.75, 0.5])


def test_a_bin_holds_its_upper_edge_and_the_first_one_holds_zero():
    found = calibration(np.array([0.0, 0.5, 0.51, 1.0]), np.array([False, True, True, True]), bins=2)
    assert [one.count for one in found.bins] == [2, 2]


def test_always_sure_and_always_right_is_no_error():
    sure = Calibration((ConfidenceBin(1.0, 1.0, 3),), 0.0)
    assert calibration(np.ones(3), np.ones(3, dtype=np.bool_)) == sure


def test_always_sure_and_right_every_other_time_is_an_error_of_a_half():
    assert calibration(np.ones(10), np.arange(10) % 2 == 0).error == pytest.approx(0.5)


def test_without_statements_there_is_no_error():
    assert calibration(np.empty(0), np.empty(0, dtype=np.bool_)) == Calibration((), None)


@pytest.mark.parametrize("confidence", [[1.1, 0.5], [-0.1, 0.5], [np.nan, 0.5]])
def test_what_is_no_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match=r"not in 0\.\.1"):
        calibration(np.array(confidence), np.array([True, False]))


def test_as_many_outcomes_as_confidences_are_needed():
    with pytest.raises(ValueError, match="2 confidences and 1 outcomes"):
        calibration(np.array([0.5, 0.5]), np.array([True]))
