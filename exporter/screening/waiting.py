"""`for`: how long an oddness has to last, counted from values that are odd, not from means that remember them."""

import numpy as np

from exporter.screening.archive import BEGAN
from exporter.screening.baseline import LARGEST
from exporter.screening.past import Past
from exporter.screening.policy import BoolArray, Policy
from exporter.screening.result import THRESHOLD, ScreenResult
from exporter.series.frame import FloatArray

_RECENT_SECONDS = 1800.0
_LEAST_RECENT = 3
"""The median of as many values is what a series does now: one spike among them does not move it."""
_MARGIN = 0.1
"""In ranges of such means: single values scatter more than means do, and so does their median."""


def awaited(found: ScreenResult, past: Past, policy: Policy, episode: FloatArray) -> FloatArray:
    """[series]: the scores that a `for` is counted by.

    The mean of an hour stays odd for up to two after a single spike. Where only means of hours are odd, the newest value
    is none that was never seen, and the median of the last half hour is none that a mean could not have been, the oddness
    has passed: the score is what is left without such means. Only series with a `for` and without an episode are asked.

    Args:
        found: the newest screening.
        past: what it was screened by.
        policy: of the series.
        episode: `[5 × series]`, as in `archive`, before this screening.
    """
    waits = (policy.for_seconds > 0) & np.isnan(episode[BEGAN])
    by_means = (found.score >= THRESHOLD) & ~(found.apart_from_means >= THRESHOLD)
    rows = np.flatnonzero(waits & by_means)
    if not rows.size:
        return found.score
    frame = found.frame
    recent = frame.values[rows, -max(_LEAST_RECENT, round(_RECENT_SECONDS / frame.interval)) :]
    passed = rows[~_goes_on(recent, past.rows(rows))]
    score = found.score.copy()
    score[passed] = found.apart_from_means[passed]
    return score


def _goes_on(recent: FloatArray, past: Past) -> BoolArray:
    """[rows]: whether what a series does now is odd by itself; so is what cannot be told."""
    expected = past.expected
    known = ~np.isnan(recent).all(axis=1)
    median = np.full(len(recent), np.nan)
    median[known] = np.nanmedian(np.clip(recent[known], -LARGEST, LARGEST), axis=1)
    newest, middle = past.code.write(recent[:, -1]), past.code.write(median)
    shaped, margin = ~np.isnan(expected.season_unit), _MARGIN * expected.unit[1]
    high = np.fmin(expected.high[1] + margin, np.where(shaped, past.season_high + expected.season_above, np.nan))
    low = np.fmax(expected.low[1] - margin, np.where(shaped, past.season_low - expected.season_below, np.nan))
    beyond = np.where(past.means[0] > expected.median, middle > high, middle < low)
    unseen = (newest > expected.high[0]) | (newest < expected.low[0])
    goes_on: BoolArray = unseen | beyond | ~known
    return goes_on
