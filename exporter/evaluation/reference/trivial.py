"""Detectors that look at nothing: what any detector has to beat."""

from zlib import crc32

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.series.frame import FloatArray


def random(case: Case, seed: int) -> FloatArray:
    """Each score is drawn evenly from 0..1, whatever the values are; 0.5 means nothing.

    Another case draws other numbers under the same seed.
    """
    return np.random.default_rng([seed, crc32(case.name.encode())]).random(case.values.shape)


def never(case: Case, _seed: int) -> FloatArray:
    """Always 0: it alarms at no threshold."""
    return np.zeros(case.values.shape)


def always(case: Case, _seed: int) -> FloatArray:
    """Always 1: it alarms without end, at any threshold."""
    return np.ones(case.values.shape)
