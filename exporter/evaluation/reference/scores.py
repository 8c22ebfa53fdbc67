"""What all reference detectors share about scores: their range, their middle, and how a case gets one."""

import numpy as np

from exporter.series.frame import FloatArray

_LARGEST = 1e150
"""Magnitudes beyond it count as it, so that squares and their sums stay finite."""


def bounded(values: FloatArray) -> FloatArray:
    """The values with infinities and magnitudes beyond 1e150 cut to ±1e150; NaN stays."""
    return np.clip(values, -_LARGEST, _LARGEST)


def half_at(oddness: FloatArray, boundary: float) -> FloatArray:
    """Scores in 0..1 of an oddness that is at least 0: `x / (x + boundary)`, so 0.5 at the boundary; NaN stays.

    Strictly increasing as far as doubles tell neighbours apart; infinity has 1.
    """
    return 1.0 - boundary / (oddness + boundary)


def case_score(scores: FloatArray) -> FloatArray:
    """How the series of a case become one score: the highest at each instant, so that one odd series is enough.

    Args:
        scores: `[series × instants]`, NaN where a series has none.

    Returns:
        `[instants]`: NaN where no series has a score.
    """
    highest: FloatArray = np.fmax.reduce(scores, axis=0, initial=np.nan)
    return highest
