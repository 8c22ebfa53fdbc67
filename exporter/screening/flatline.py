"""Flatline: a series that normally moves has stopped, or has gone to exactly zero and stays there."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import FLATLINE, Detection
from exporter.screening.evidence import flatline_text
from exporter.screening.policy import BoolArray
from exporter.screening.runs import ending, longest
from exporter.series.frame import FloatArray, IntArray

_SHORTEST_STOP = 5
_SHORTEST_ZERO = 3
_OFTEN = 0.2
"""A series that stands still more often than this is a constant with changes: that it stands is no news."""


def flatline(baseline: Baseline) -> Detection:
    """Judge by the chance that a series which stands still with its usual frequency does so for this long.

    With a share r of standing steps before the run (by Laplace's rule of succession, (k + 1) / (n + 2)), a run of K
    steps has probability r ** K. Standing steps come in runs, so the longest run before is the unit:
    r ** (K / longest). Runs of zeros are judged alike, by the share of zeros. A series that has been still for more than
    half of the window is no longer one that moves.

    Standing still is neither above nor below, so a series of which one direction counts is judged only by going to zero,
    where that is the direction.
    """
    rows, instants = baseline.values.shape
    result = np.zeros(rows)
    length = np.zeros(rows, dtype=np.intp)
    tail = baseline.values[:, instants - _SHORTEST_ZERO :]
    candidates = np.flatnonzero((tail == tail[:, :1]).all(axis=1) & ~baseline.standing)
    if candidates.size:
        stopped = _stopped(baseline, candidates)
        result[candidates], length[candidates] = stopped.log_tail, stopped.length

    def words(row: int, unit: str) -> str | None:
        return flatline_text(baseline, row, int(length[row]), unit)

    return Detection("flatline", result, np.full(rows, FLATLINE, dtype=np.int8), words)


@dataclass(frozen=True, eq=False)
class _Stopped:
    """`[candidates]` each."""

    log_tail: FloatArray
    length: IntArray
    """Instants with the same value at the end."""


def _stopped(baseline: Baseline, candidates: IntArray) -> _Stopped:
    values = baseline.values[candidates]
    policy = baseline.policy.rows(candidates)
    median = baseline.past.median[candidates, None]
    still = values[:, 1:] == values[:, :-1]
    steps = ending(still)
    log_still = np.where((steps + 1 >= _SHORTEST_STOP) & (policy.direction == 0), _log_run(still, steps), 0.0)
    zero = values == 0
    zeros = ending(zero)
    to_zero = (policy.matters(-median, median) & (median != 0))[:, 0]
    log_zero = np.where((zeros >= _SHORTEST_ZERO) & to_zero, _log_run(zero, zeros), 0.0)
    return _Stopped(np.minimum(log_still, log_zero), np.maximum(steps + 1, zeros))


def _log_run(flags: BoolArray, run: IntArray) -> FloatArray:
    """[rows]: the logarithm of the tail probability of the run at the end, by what went before it."""
    width = flags.shape[1]
    before = flags & (np.arange(width) < (width - run)[:, None])
    share = (np.count_nonzero(before, axis=1) + 1.0) / (width - run + 2.0)
    log_tail = np.log(share) * run / np.maximum(longest(before), 1)
    return np.where((share <= _OFTEN) & (2 * run <= width), log_tail, 0.0)
