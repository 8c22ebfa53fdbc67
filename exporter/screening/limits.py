"""Limits: a value outside the range that the user calls valid."""

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import Detection, direction_kind
from exporter.screening.evidence import limits_text
from exporter.screening.policy import BoolArray
from exporter.screening.tails import IMPOSSIBLE


def limits(baseline: Baseline) -> Detection:
    """Judge by the configured range alone: what lies outside is impossible in a calm series, whatever its history."""
    newest, policy = baseline.newest, baseline.policy
    above: BoolArray = newest > policy.valid_max[:, None]
    below: BoolArray = newest < policy.valid_min[:, None]
    high = np.asarray(above.any(axis=1))
    log_tail = np.where(high | below.any(axis=1), IMPOSSIBLE, 0.0)

    def words(row: int, unit: str) -> str | None:
        outside = newest[row, above[row] if high[row] else below[row]]
        return limits_text(float(outside[-1]), float((policy.valid_max if high[row] else policy.valid_min)[row]), unit)

    return Detection("valid range", log_tail, direction_kind(high), words)
