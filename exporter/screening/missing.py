"""Missing: a series that came regularly is absent while its target still gives others."""

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import MISSING, Detection
from exporter.screening.evidence import missing_text
from exporter.screening.runs import ending, longest, starts

_SHORTEST = 3
"""Fewer absent instants than this are a hiccup."""


def missing(baseline: Baseline) -> Detection:
    """Judge by the chance that a series with this many gaps has one now that is as long.

    With g gaps that began in n instants before this one (by Laplace's rule of succession, (g + 1) / (n + 2)), a gap of
    K instants has probability ((g + 1) / (n + 2)) ** (K / longest gap before). Instants at which the whole target gave
    nothing are not in the baseline at all. Neither the direction nor the smallest change of a policy matters here.
    """
    rows, instants = baseline.values.shape
    result = np.zeros(rows)
    length = np.zeros(rows, dtype=np.intp)
    present = np.zeros(rows, dtype=np.intp)
    if baseline.absent is not None:
        gone = np.flatnonzero(baseline.absent[:, -_SHORTEST:].all(axis=1))
        absent = baseline.absent[gone]
        run = ending(absent)
        before = absent & (np.arange(instants) < (instants - run)[:, None])
        share = (starts(before) + 1.0) / (instants - run + 2.0)
        result[gone] = np.log(share) * run / np.maximum(longest(before), 1)
        length[gone] = run
        present[gone] = instants - np.count_nonzero(absent, axis=1)

    def words(row: int, unit: str) -> str | None:
        return missing_text(baseline, row, int(length[row]), int(present[row]), unit)

    return Detection("missing", result, np.full(rows, MISSING, dtype=np.int8), words)
