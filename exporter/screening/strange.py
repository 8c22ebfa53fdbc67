"""What a series adds to the oddness of its group."""

import math

import numpy as np

from exporter.screening.baseline import STEPS_FLOOR, Baseline
from exporter.screening.expected import SIGMA_END, SIGMA_QUARTER, SIGMA_TENTH
from exporter.screening.ordered import quantiles
from exporter.series.frame import FloatArray

MOST_STRANGE = 5.2
"""What one series adds at most: 180 times the least deviation that counts."""
_RANGE_WORTH = 0.5
"""What an unusual range of the last hour counts beside an unusual value: chosen on labelled machines (docs/evaluation.md)."""
_HOUR = 3600.0
_ENOUGH_VALUES = 60
"""As many values of the last hour, evenly taken, give its range."""
_DECILES = np.array([0.1, 0.9])
_LEAST_DEVIATIONS = 3.0
_UNSURE = 5.0
"""With n values of history, the least deviation that counts is larger by this over n."""
_FLOOR = 1e-2 * 3 / (2 * SIGMA_END)
"""One standard deviation is never taken as smaller than this share of the largest magnitude: what has a range of 1 % of it."""


def strangeness(baseline: Baseline) -> FloatArray:
    """[rows]: what each series adds to the oddness of its group, 0 to `MOST_STRANGE`.

    It is `ln(z / 3)`, the logarithm of a Pareto tail beyond 3 deviations, of how far the newest value lies from where the series
    mostly is, or half of the same of how far the values of the last hour are spread: the larger.
    """
    return np.maximum(strangeness_of(_deviations(baseline)), _RANGE_WORTH * strangeness_of(_range_deviations(baseline)))


def strangeness_of(deviations: FloatArray) -> FloatArray:
    """What so many robust standard deviations from the median add: any shape, 0 for NaN."""
    counted = np.log(np.fmax(deviations, _LEAST_DEVIATIONS) / _LEAST_DEVIATIONS)
    return np.minimum(counted, MOST_STRANGE)


def _deviations(baseline: Baseline) -> FloatArray:
    """[rows]: the distance of the newest value from the history's median, in robust standard deviations of its side.

    Unlike for the series' own score, what happened before does not make it usual: the median and the quartiles barely know of
    a fault that comes again, and a fault shows in several series at once. Where the long history is too short, the window's
    history stands in.
    """
    past = baseline.remembered
    expected = past.expected
    top, bottom = baseline.extremes
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        long_up = (past.code.write(top) - expected.median) / expected.up
        long_down = (expected.median - past.code.write(bottom)) / expected.down
        window = baseline.past
        short_up = (top - window.median) / _window_spread(baseline, upwards=True)
        short_down = (window.median - bottom) / _window_spread(baseline, upwards=False)
    up, down = np.where(past.ready, long_up, short_up), np.where(past.ready, long_down, short_down)
    median = np.where(past.ready, past.code.read(expected.median), window.median)
    changes = np.stack([top, bottom], axis=1) - median[:, None]
    allowed = baseline.policy.matters(changes, median[:, None])
    farthest = np.fmax(np.where(allowed[:, 0], up, 0.0), np.where(allowed[:, 1], down, 0.0))
    least = np.where(past.ready, 1.0, 1.0 + _UNSURE / np.maximum(window.count, 1))
    return np.where(past.ready | baseline.ready, farthest / least, 0.0)


def _range_deviations(baseline: Baseline) -> FloatArray:
    """[rows]: by how many robust standard deviations the 10-90 % range of the last hour exceeds that of most hours.

    0 without a long history.
    """
    past = baseline.remembered
    if not past.ready.any():
        return np.zeros(past.ready.size)
    usual = past.code.read(past.expected.median)
    with np.errstate(over="ignore", invalid="ignore"):
        wider = _hour_range(baseline) / past.code.scale - past.expected.hour_range
        # A range has no direction: only the size of the change must matter.
        change = (wider * past.code.scale)[:, None] * [1.0, -1.0]
        matters = baseline.policy.matters(change, usual[:, None]).any(axis=1)
    return np.where(past.ready & matters, wider / past.expected.hour_range_up, 0.0)


def _hour_range(baseline: Baseline) -> FloatArray:
    """[rows]: the 10-90 % range of the values of the last hour; NaN where less than half of it is known."""
    times = baseline.times
    first = int(np.searchsorted(times, times[-1] - _HOUR, side="right"))
    if times[-1] - times[first] < _HOUR / 2:
        return np.full(len(baseline.values), np.nan)
    values = baseline.values[:, first :: math.ceil((times.size - first) / _ENOUGH_VALUES)]
    enough = 2 * np.count_nonzero(~np.isnan(values), axis=1) >= values.shape[1]
    low, high = quantiles(values, _DECILES)
    return np.where(enough, high - low, np.nan)


def _window_spread(baseline: Baseline, *, upwards: bool) -> FloatArray:
    """[rows]: one robust standard deviation on one side of the median, by the window's quartiles and deciles."""
    window, side = baseline.past, 1 if upwards else 0
    sign = 1.0 if upwards else -1.0
    quarter = sign * (window.quartiles[side] - window.median) / SIGMA_QUARTER
    tenth = sign * (window.deciles[side] - window.median) / SIGMA_TENTH
    largest = np.maximum(np.abs(window.minimum), np.abs(window.maximum))
    return np.maximum(np.maximum(quarter, tenth), np.maximum(_FLOOR * largest, baseline.floor / STEPS_FLOOR))
