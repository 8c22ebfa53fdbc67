"""Unbroken runs of true flags in one series."""

import numpy as np

from exporter.screening.policy import BoolArray
from exporter.series.frame import IntArray


def true_spans(flags: BoolArray) -> tuple[IntArray, IntArray]:
    """The first and the last instant of each run of true flags, in order.

    Args:
        flags: `[instants]`.

    Returns:
        `[runs]` and `[runs]`, both inclusive.
    """
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
