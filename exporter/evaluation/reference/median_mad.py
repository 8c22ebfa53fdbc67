"""Rolling median and MAD: the modified z-score over the day before a value."""

from bisect import bisect_left, bisect_right

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.evaluation.reference.scores import bounded, half_at
from exporter.evaluation.reference.windows import Windows, before, middle, ordered_windows
from exporter.evaluation.reference.zscore import AT_LEAST, AT_MOST, FEWEST, ROUNDING, WINDOW
from exporter.series.frame import FloatArray

BOUNDARY = 3.5
"""The modified z-score at which the score is 0.5: from it on Iglewicz and Hoaglin call a value an outlier."""
_MAD_TO_SIGMA = 1.4826
"""1 / 0.6745: what turns the MAD of a Gaussian into its standard deviation."""
_MEAN_TO_SIGMA = 1.2533
"""√(π / 2): the same for the mean absolute deviation."""


def median_mad(case: Case, _seed: int) -> FloatArray:
    """Judge by `0.6745 · |x - median| / MAD` of the last day without x; score 0.5 at 3.5.

    Source: Iglewicz & Hoaglin, How to Detect and Handle Outliers (1993). Where more than half of the window is one
    value the MAD is 0; the mean absolute deviation from the median stands in for it then, as in IBM's description of the
    modified z-score, and below both lies what doubles round. The window is that of the rolling z-score.
    """
    values = bounded(case.values)
    window = before(case.times, WINDOW, at_least=AT_LEAST, at_most=AT_MOST)
    scales = [_median_and_scale(row, window) for row in values]
    median = np.array([one for one, _ in scales]).reshape(values.shape)
    scale = np.array([two for _, two in scales]).reshape(values.shape)
    smallest = ROUNDING * np.maximum(np.abs(median), np.abs(values))
    deviations = np.abs(values - median) / np.maximum(np.maximum(scale, smallest), np.finfo(np.float64).tiny)
    return half_at(deviations, BOUNDARY)


def _median_and_scale(row: FloatArray, window: Windows) -> tuple[FloatArray, FloatArray]:
    """[instants] each: the median, and the robust standard deviation; NaN where a window holds too few values."""
    median, scale = np.full(row.size, np.nan), np.full(row.size, np.nan)
    for instant, ordered in enumerate(ordered_windows(row, window)):
        if len(ordered) >= FEWEST:
            centre = middle(ordered)
            median[instant] = centre
            scale[instant] = _MAD_TO_SIGMA * absolute_deviation(ordered, centre) or (
                _MEAN_TO_SIGMA * _mean_deviation(ordered, centre)
            )
    return median, scale


def absolute_deviation(ordered: list[float], centre: float) -> float:
    """The median of `|x - centre|`, from values in ascending order, of which there is at least one.

    Below the centre the distances ascend to the left, above it to the right: the middle of two ordered lists is found
    by halving how many of the nearest lie to the left.
    """
    count, split = len(ordered), bisect_left(ordered, centre)
    wanted = (count + 1) // 2
    low, high = max(0, wanted - (count - split)), min(wanted, split)
    while low < high:
        lefts = (low + high) // 2
        if ordered[split + wanted - lefts - 1] - centre > centre - ordered[split - 1 - lefts]:
            low = lefts + 1
        else:
            high = lefts
    left, right = split - low, split + wanted - low
    inner = max(centre - ordered[left] if low else 0.0, ordered[right - 1] - centre if wanted > low else 0.0)
    if count % 2:
        return inner
    outer = min(
        centre - ordered[left - 1] if left else np.inf,
        ordered[right] - centre if right < count else np.inf,
    )
    return (inner + outer) / 2


def _mean_deviation(ordered: list[float], centre: float) -> float:
    """The mean of `|x - centre|`, from values in ascending order."""
    low, high = ordered[: bisect_left(ordered, centre)], ordered[bisect_right(ordered, centre) :]
    return ((len(low) * centre - sum(low)) + (sum(high) - len(high) * centre)) / len(ordered)
