"""Rank against history: how far a value, or the mean of the newest ones, lies beyond everything seen before."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import LEVEL_SHIFT, Detection, direction_kind
from exporter.screening.evidence import mean_text, rank_text
from exporter.screening.ordered import Ordered
from exporter.screening.policy import BoolArray
from exporter.screening.tails import any_of, decay_of, log_beyond, pick, taught_by
from exporter.series.frame import FloatArray

_LASTING = 6
"""From this many instants beyond the history on, an excursion may be called a level."""

_TELLING = float(np.log(1e-5))
"""A single value with a smaller tail probability is told, even if the mean is odder: it is the plainer fact."""


def rank(baseline: Baseline) -> Detection:
    """Judge by the distance beyond the history, in units of the history's own 0.5-99.5 % range.

    A value inside the history's extremes is never odd for this detector. Beyond them the tail is taken to fall off
    exponentially over that range, the slower the heavier the history's own tails are (`decay_of`), at a rate learned from
    as many values as there are (`log_beyond`). The means of the newest instants are judged likewise against means of as many
    neighbouring instants in the history, which takes into account how strongly neighbours depend on each other.
    """
    single = _beyond(baseline, baseline.newest, baseline.past)
    means = _past_means(baseline)
    newest_mean = baseline.newest.mean(axis=1, keepdims=True)
    mean = _beyond(baseline, newest_mean, means)
    one, column = pick(single.log_tail, single.allowed)
    many, _ = pick(mean.log_tail, mean.allowed)
    by_mean = many < one
    up = np.where(by_mean, mean.up[:, 0], single.up[np.arange(column.size), column])
    log_tail = any_of(np.minimum(one, many), baseline.judged + 1)

    def words(row: int, unit: str) -> str | None:
        if by_mean[row] and one[row] > _TELLING:
            usual = float(means.minimum[row]), float(means.maximum[row])
            return mean_text(baseline, float(newest_mean[row, 0]), usual, unit)
        at = int(column[row])
        return None if np.isnan(baseline.newest[row, at]) else rank_text(baseline, row, at, unit)

    kind = np.where(_lasts(baseline), np.int8(LEVEL_SHIFT), direction_kind(up))
    return Detection("rank", log_tail, kind, words, background=True)


@dataclass(frozen=True, eq=False)
class _Beyond:
    """`[rows × k]` each."""

    up: BoolArray
    log_tail: FloatArray
    allowed: BoolArray


def _beyond(baseline: Baseline, values: FloatArray, past: Ordered) -> _Beyond:
    above, below = values - past.maximum[:, None], past.minimum[:, None] - values
    up = above >= below
    lower, upper = past.heaviness()
    excess = np.maximum(above, below) / baseline.unit(past.upper - past.lower, values)
    decay = decay_of(np.where(up, upper[:, None], lower[:, None]))
    median = baseline.past.median[:, None]
    count, taught = past.count[:, None], taught_by(baseline.past.count)[:, None]
    return _Beyond(
        up=up,
        log_tail=log_beyond(excess, count, decay, taught),
        allowed=baseline.policy.matters(values - median, median),
    )


def _past_means(baseline: Baseline) -> Ordered:
    """Means of as many neighbouring instants of the history as are judged, not overlapping."""
    length = baseline.judged
    past = baseline.history[:, baseline.history.shape[1] % length :]
    total = past[:, 0::length].copy()
    for offset in range(1, length):
        total += past[:, offset::length]
    return Ordered.of(total / length, whole=baseline.whole)


def _lasts(baseline: Baseline) -> BoolArray:
    """Whether at least half of what is kept out of the history lies beyond it on one side."""
    recent = baseline.values[:, baseline.values.shape[1] - baseline.guard :]
    above = np.count_nonzero(recent > baseline.past.maximum[:, None], axis=1)
    below = np.count_nonzero(recent < baseline.past.minimum[:, None], axis=1)
    lasting: BoolArray = np.maximum(above, below) >= max(_LASTING, baseline.guard // 2)
    return lasting
