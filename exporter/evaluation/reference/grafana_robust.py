"""Grafana's robust anomaly detection rules for Prometheus, re-expressed in numpy."""

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.evaluation.reference.scores import bounded, half_at
from exporter.evaluation.reference.windows import Windows, lagged, medians, ranges
from exporter.series.frame import FloatArray

_DAY, _HOUR = 86400.0, 3600.0
_MAD_MULTIPLIER = 2.0
_MARGIN_MULTIPLIER = 0.5
_SEASONS = 7 * _DAY - 900.0, _DAY - 900.0
"""Seconds back to the end of the hour of last week and of yesterday: offsets 167h45m and 23h45m."""
_FOR = 300.0
"""Seconds for which the level has to stay outside before the rules alert."""


def grafana_robust(case: Case, _seed: int) -> FloatArray:
    """Judge by how far the hourly median lies from the middle of the band, in half widths of it; score 0.5 at the edge.

    Source: repository grafana/promql-anomaly-detection, `rules/robust.yml`, with its constants. The upper edge is the
    highest, the lower edge the lowest (and at least 0) of

    - the median of 24 hours ± 2 times the MAD, where the MAD is the 24-hour median of each value's distance from the
      24-hour median of its own time,
    - the median of 24 hours ± half of it,
    - the median ± 2 times the MAD of the hour that ended 15 minutes past the same time of yesterday, and of last week.

    The rules see values above 0 only, so where an hour has none there is no score, and they alert after 5 minutes
    outside: a score is the lowest of the last 5 minutes. Their filter for sparse request rates is left out, because it
    asks for a label that says what a metric is. Another strategy of the repository, `adaptive.yml`, smooths standard
    deviations over 26 hours; it is not the one here.
    """
    capped = bounded(case.values)
    values = np.where(capped > 0, capped, np.nan)
    times, hour, day = case.times, ranges(case.times, _HOUR), ranges(case.times, _DAY)
    level = medians(values, hour)
    hourly_mad = medians(np.abs(values - level), hour)
    median = medians(values, day)
    mad = medians(np.abs(values - median), day)
    lower, upper = _widened(median, _MAD_MULTIPLIER * mad, _MARGIN_MULTIPLIER * median)
    for offset in _SEASONS:
        middle, width = _earlier(level, times, offset), _MAD_MULTIPLIER * _earlier(hourly_mad, times, offset)
        lower, upper = np.fmin(lower, middle - width), np.fmax(upper, middle + width)
    lower = np.maximum(lower, 0.0)
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    outside = np.abs(level - middle) / np.maximum(half, np.finfo(np.float64).tiny)
    return _held(half_at(outside, 1.0), times)


def _widened(median: FloatArray, *widths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper edge of the widest band around the median."""
    widest = np.fmax.reduce(widths)
    return median - widest, median + widest


def _earlier(values: FloatArray, times: FloatArray, offset: float) -> FloatArray:
    """[series × instants]: what was known `offset` seconds ago and less than an hour old then; NaN where nothing was."""
    wanted = times - offset
    at = np.searchsorted(times, wanted, side="right") - 1
    known = (at >= 0) & (wanted - times[at] < _HOUR)
    return np.where(known, values[:, np.maximum(at, 0)], np.nan)


def _held(scores: FloatArray, times: FloatArray) -> FloatArray:
    """[series × instants]: the lowest score of the last 5 minutes, both ends included; NaN where one is missing."""
    starts = np.searchsorted(times, times - _FOR, side="left")
    lowest = scores.copy()
    for earlier, inside in lagged(scores, Windows(starts, np.arange(1, times.size + 1, dtype=np.intp))):
        lowest = np.where(inside, np.minimum(lowest, earlier), lowest)
    return lowest
