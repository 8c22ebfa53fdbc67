"""VUS-PR: the volume under the surface of precision, recall and the width of a tolerance around each labelled window.

Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection",
PVLDB 15 (11), 2022. Numbers are those of TSB-AD (Liu and Paparrizos, "The Elephant in the Room", NeurIPS 2024), that is
`RangeAUC_volume_opt` with 250 thresholds; PyPI's `vus` 0.0.6 has the same function under the same name.
"""

from dataclasses import dataclass

import numpy as np

from exporter.evaluation.spans import true_spans
from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray, IntArray

THRESHOLDS = 250
DEFAULT_WINDOW = 125
"""The window of a series without a period, as in TSB-AD."""

_LOOKED_AT = 20_000
_MOST_LAGS = 400
_SHORTEST_LAG = 3
_LONGEST_PERIOD = 300


def vus_pr(score: FloatArray, label: BoolArray, window: int) -> float:
    """The mean, over tolerances of 0 to `window` instants, of the area under the range-based precision-recall curve.

    With a tolerance w the label falls off on both sides of each window as sqrt(1 - distance / w), as far as w / 2.
    Recall is scaled by the share of windows, widened so, with at least one detection.

    Args:
        score: `[instants]`; only its order counts. NaN is lower than every number.
        label: `[instants]`.
        window: instants, 0 or more.

    Raises:
        ValueError: lengths differ, no instant is labelled, or the window is negative.
    """
    if score.shape != label.shape:
        raise ValueError(f"score and label differ in length: {score.size} and {label.size}")
    if not label.any():
        raise ValueError("no instant is labelled: precision and recall are not defined")
    if window < 0:
        raise ValueError(f"window is {window}; expected 0 or more")
    detected = _detected_at(score)
    surface = _Surface(detected, label, *true_spans(label), _margin(label, window))
    return float(np.mean([surface.area(tolerance) for tolerance in range(window + 1)]))


def window_length(values: FloatArray) -> int:
    """The period of a series, which TSB-AD takes as the window: its `find_length_rank` with rank 1.

    That is the lag, from 6 to 303, with the highest local maximum of the autocorrelation of the first 20,000
    instants; `DEFAULT_WINDOW` where there is none, or the highest one is at another lag.

    Args:
        values: `[instants]`; a missing value is as the one before it.
    """
    known = np.flatnonzero(~np.isnan(values))
    if not known.size:
        return DEFAULT_WINDOW
    latest = np.searchsorted(known, np.arange(min(values.size, _LOOKED_AT)), side="right") - 1
    correlation = _autocorrelation(values[known[np.maximum(latest, 0)]])[_SHORTEST_LAG:]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner > correlation[2:])) + 1
    if not peaks.size:
        return DEFAULT_WINDOW
    highest = int(peaks[np.argmax(correlation[peaks])])
    return highest + _SHORTEST_LAG if _SHORTEST_LAG <= highest <= _LONGEST_PERIOD else DEFAULT_WINDOW


@dataclass(frozen=True, eq=False)
class _Margin:
    """The instants near labelled windows, once for each window that is near."""

    place: IntArray
    """[pairs]: the instant."""
    distance: IntArray
    """[pairs]: from the window, at least 1."""


@dataclass(frozen=True, eq=False)
class _Surface:
    detected: IntArray
    """[instants]: number of the highest threshold, they fall, that each score reaches."""
    label: BoolArray
    firsts: IntArray
    """[windows]."""
    lasts: IntArray
    """[windows], inclusive."""
    margin: _Margin

    def area(self, tolerance: int) -> float:
        """The area under the curve of precision and recall, with one tolerance."""
        reach = tolerance // 2
        labelled = int(np.count_nonzero(self.label))
        near = self._near(tolerance, reach)
        hits = _so_far(self.detected[self.label]) + near
        recall = np.minimum(hits / (labelled + near / 2), 1.0) * self._touched(reach)
        precision = hits / _so_far(self.detected)
        return float(np.dot(np.diff(recall, prepend=0.0), precision))

    def _near(self, tolerance: int, reach: int) -> FloatArray:
        """[thresholds]: detections in the margins, weighed by the label that falls off."""
        within = self.margin.distance <= reach
        place, distance = self.margin.place[within], self.margin.distance[within]
        once, number = np.unique(place, return_inverse=True)
        slopes = np.bincount(number, weights=np.sqrt(1 - distance / tolerance) if tolerance else None)
        return _so_far(self.detected[once], np.minimum(slopes, 1.0))

    def _touched(self, reach: int) -> FloatArray:
        """[thresholds]: share of the windows, widened and united where they meet, that have a detection."""
        apart = self.lasts[:-1] + reach < self.firsts[1:] - reach
        firsts = np.concatenate([[max(self.firsts[0] - reach, 0)], self.firsts[1:][apart] - reach])
        lasts = np.concatenate([self.lasts[:-1][apart] + reach, [min(self.lasts[-1] + reach, self.label.size - 1)]])
        # reduceat takes pairs of a first and a last plus one; an entry more makes the one after the end valid.
        edges = np.column_stack([firsts, lasts + 1]).ravel()
        earliest = np.minimum.reduceat(np.append(self.detected, THRESHOLDS), edges)[::2]
        return _so_far(earliest) / firsts.size


def _detected_at(score: FloatArray) -> IntArray:
    """[instants]: from which of the falling thresholds on each instant is detected."""
    # Ranks instead of values: equal scores stay equal, and NaN gets a place below all others.
    rank = np.unique(np.where(np.isnan(score), -np.inf, score), return_inverse=True)[1] + 1
    rank[np.isnan(score)] = 0
    falling = np.sort(rank)[::-1][np.linspace(0, rank.size - 1, THRESHOLDS).astype(np.intp)]
    return np.searchsorted(-falling, -rank, side="left")


def _so_far(detected: IntArray, weights: FloatArray | None = None) -> FloatArray:
    """[thresholds]: how many, or how much weight, is detected at each."""
    return np.cumsum(np.bincount(detected, weights, minlength=THRESHOLDS)[:THRESHOLDS], dtype=np.float64)


def _margin(label: BoolArray, window: int) -> _Margin:
    firsts, lasts = true_spans(label)
    distance = np.arange(1, window // 2 + 1)
    place = np.concatenate([(firsts[:, None] - distance).ravel(), (lasts[:, None] + distance).ravel()])
    distance = np.tile(distance, 2 * firsts.size)
    inside = (place >= 0) & (place < label.size)
    place, distance = place[inside], distance[inside]
    outside = ~label[place]
    return _Margin(place[outside], distance[outside])


def _autocorrelation(values: FloatArray) -> FloatArray:
    """[lags]: of lags 0 to 400, biased, by the Fourier transform; NaN for a constant series.

    Box and Jenkins, "Time Series Analysis: Forecasting and Control", 1976, section 2.1.5.
    """
    around = values - values.mean()
    length = 1 << (2 * values.size - 1).bit_length()
    power = np.abs(np.fft.rfft(around, length)) ** 2
    covariance = np.fft.irfft(power, length)[: min(values.size, _MOST_LAGS + 1)]
    if not around.any():
        return np.full(covariance.size, np.nan)
    return np.asarray(covariance / covariance[0])
