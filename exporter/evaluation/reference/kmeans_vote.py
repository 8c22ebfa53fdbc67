"""A vote of k-means models of the past, as Netdata takes it for each metric."""

from collections import deque

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from exporter.evaluation.labelled import Case
from exporter.evaluation.reference.kmeans import Model, fit
from exporter.evaluation.reference.scores import bounded, half_at
from exporter.evaluation.reference.windows import lagged, ranges
from exporter.series.frame import FloatArray

_SMOOTHED, _LAGS = 3, 5
_LEARNED = 6 * 3600.0
"""Seconds that a model learns from."""
_MODELS = 18
_AT_LEAST = 144
"""Instants that a model learns from at least: at one value in 5 minutes 6 hours are only 72."""
_VECTORS = 4320
"""Vectors that a model learns from at most: a fifth of the 6 hours at one value a second."""
_BOUNDARY = 0.99
"""Oddness from which on a model votes for an anomaly."""
_GROUPED = 300.0
"""Seconds over which votes are averaged."""


def kmeans_vote(case: Case, _seed: int) -> FloatArray:
    """Judge by the vote of the model that finds a value the least odd; score 0.5 where all models call it an anomaly.

    Source: Netdata's documentation of its machine learning ("ML Configuration", "Machine Learning Anomaly Detection")
    and `src/ml` of repository netdata/netdata. Values are differenced (1), smoothed (3) and lagged (5) into vectors of 6.
    Every 3 hours a model with k = 2 learns from the last 6 hours; the last 18 models are kept. A vector's oddness is
    its mean distance from both centres, scaled so that the vectors learned from span 0..1, and an anomaly is what all
    models find at 0.99 or more. Rates of anomalies are averages over 5 minutes.

    Expressed for any interval: a model learns from at least 144 instants, and a new one follows after half of what a
    model learns from. The smallest oddness stands for the vote, so that there is an order among what all agree on and
    what they do not: it is mapped to 0.5 at 0.99, and averaged over 5 minutes. As in Netdata a model that learned
    from a constant never calls anything odd. Nothing is drawn at random.
    """
    vectors = _vectors(bounded(case.values))
    instants = case.times.size
    learned = max(round(_LEARNED / case.interval), _AT_LEAST)
    stride, thinned = max(learned // 2, 1), -(-learned // _VECTORS)
    oddness = np.full(case.values.shape, np.nan)
    models: deque[Model] = deque(maxlen=_MODELS)
    for start in range(stride, instants, stride):
        past = vectors[:, max(0, start - learned) : start][:, ::-thinned][:, ::-1]
        models.append(fit(past, fewest=_AT_LEAST // 4))
        judged = vectors[:, start : start + stride]
        oddness[:, start : start + stride] = np.fmin.reduce([model.oddness(judged) for model in models])
    return _averaged(half_at(oddness, _BOUNDARY), case.times)


def _vectors(values: FloatArray) -> FloatArray:
    """[series × instants × 6]: the newest smoothed differences up to each instant; NaN where one of 9 values is missing."""
    padded = np.pad(values, ((0, 0), (_SMOOTHED + _LAGS, 0)), constant_values=np.nan)
    smoothed = sliding_window_view(np.diff(padded, axis=1), _SMOOTHED, axis=1).mean(axis=2)
    return sliding_window_view(smoothed, _LAGS + 1, axis=1)


def _averaged(scores: FloatArray, times: FloatArray) -> FloatArray:
    """[series × instants]: the mean of the scores of the last 5 minutes; NaN where the newest is missing."""
    total, count = np.zeros(scores.shape), np.zeros(scores.shape)
    for earlier, inside in lagged(scores, ranges(times, _GROUPED)):
        there = inside & ~np.isnan(earlier)
        total += np.where(there, earlier, 0.0)
        count += there
    return np.where(np.isnan(scores), np.nan, total / np.maximum(count, 1.0))
