"""Rolling z-score: how many standard deviations a value lies from the mean of the day before it."""

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.evaluation.reference.scores import bounded, half_at
from exporter.evaluation.reference.windows import Windows, before
from exporter.series.frame import FloatArray

WINDOW = 86400.0
"""Seconds of history."""
AT_LEAST, AT_MOST = 60, 1440
"""Instants of history: at one value an hour a day would be too few, at one a second more than are needed."""
FEWEST = 20
"""Values in the window below which there is no score."""
BOUNDARY = 3.0
"""Standard deviations at which the score is 0.5: the three-sigma rule of Shewhart's control charts."""
ROUNDING = 1e-9
"""No spread is smaller than this share of the value or the middle: below it lies what doubles round."""


def zscore(case: Case, _seed: int) -> FloatArray:
    """Judge by `|x - mean| / standard deviation` of the last day without x; score 0.5 at 3.

    Source: Shewhart, Economic Control of Quality of Manufactured Product (1931); the standard deviation is that of the
    window, as in PromQL's `stddev_over_time`. A series that was constant scores close to 1 as soon as it moves.
    """
    values = bounded(case.values)
    window = before(case.times, WINDOW, at_least=AT_LEAST, at_most=AT_MOST)
    mean, spread = _moments(values, window)
    smallest = ROUNDING * np.maximum(np.abs(mean), np.abs(values))
    deviations = np.abs(values - mean) / np.maximum(np.maximum(spread, smallest), np.finfo(np.float64).tiny)
    return half_at(deviations, BOUNDARY)


def _moments(values: FloatArray, window: Windows) -> tuple[FloatArray, FloatArray]:
    """[series × instants] each: mean and standard deviation of each window, NaN where it holds too few values.

    Both are taken anew from each window: sums that run on would carry the rounding of a spike along for good.
    """
    known = ~np.isnan(values)
    whole = bool(known.all())
    filled = np.where(known, values, 0.0)
    count = window.counts(known)
    mean, spread = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    for instant, (start, end) in enumerate(zip(window.starts.tolist(), window.ends.tolist(), strict=True)):
        number = np.where(count[:, instant] >= FEWEST, count[:, instant], np.nan)
        part = filled[:, start:end]
        centre = part.sum(axis=1) / number
        deviation = part - centre[:, None]
        if not whole:
            deviation *= known[:, start:end]
        mean[:, instant] = centre
        spread[:, instant] = np.sqrt(np.einsum("si,si->s", deviation, deviation) / number)
    return mean, spread
