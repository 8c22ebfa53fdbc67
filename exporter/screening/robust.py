"""Robust deviation: how many robust standard deviations a value lies from the median of its history."""

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import Detection, direction_kind
from exporter.screening.evidence import Deviation, robust_text
from exporter.screening.expected import SIGMA_QUARTER, SIGMA_TENTH
from exporter.screening.tails import GAUSSIAN_RANGE, any_of, log_student, pick
from exporter.series.frame import FloatArray

_FREEDOM = 8.0


def robust(baseline: Baseline) -> Detection:
    """Judge by the modified z-score, `0.6745 · (x - median) / MAD`, with a spread for each side.

    Source: Iglewicz & Hoaglin, How to Detect and Handle Outliers (1993). Instead of one MAD each side of the median has
    its own, which is the distance of its quartile (for a symmetric history both are the MAD): latencies and rates are
    skewed. Where the decile of that side is further out than a Gaussian with that spread would have it, the decile
    sets the spread: a heavy tail is no anomaly. The floor (`Baseline.unit`) stands in for the spread of a series
    that mostly stands.

    Unlike the rank this still sees an excursion when less than a tenth of the history belongs to another one. Values of
    the history that lie as far out on the same side count against it: with k of n such values the tail probability is
    at least (k / (n + 1))², so that what happened once before is less odd, and what happens often is not.

    The tail is that of Student's t with 8 degrees of freedom, fewer where the history has less than 32 values.
    """
    newest, history, past = baseline.newest, baseline.history, baseline.past
    median = past.median[:, None]
    deviation = newest - median
    spread = np.where(deviation > 0, _spread(baseline, newest, 1), _spread(baseline, newest, 0))
    z = np.abs(deviation) / spread
    log_tail = log_student(z, np.clip(past.count / 4.0, 1.0, _FREEDOM)[:, None])
    one, column = pick(log_tail, baseline.policy.matters(deviation, median))
    picked = np.arange(column.size), column
    up = deviation[picked] > 0
    reach = newest[picked][:, None]
    as_far = np.where(up, np.count_nonzero(history >= reach, axis=1), np.count_nonzero(history <= reach, axis=1))
    seen = np.where(as_far > 0, 2.0 * np.log(np.maximum(as_far, 1) / (past.count + 1.0)), -np.inf)
    result = any_of(np.maximum(one, seen), baseline.judged)

    def words(row: int, unit: str) -> str | None:
        if baseline.standing[row]:
            return None  # its spread is the floor, and the rank says what it always was
        at = row, column[row]
        instant = baseline.times.size - baseline.judged + int(column[row])
        fact = Deviation(instant, float(spread[at]), float(z[at]), int(as_far[row]))
        return robust_text(baseline, row, fact, unit)

    return Detection("robust deviation", result, direction_kind(up), words)


def _spread(baseline: Baseline, values: FloatArray, side: int) -> FloatArray:
    """[rows × k]: robust standard deviation of one side of the median; side 0 is below, 1 above."""
    past = baseline.past
    quartile = np.abs(past.quartiles[side] - past.median) / SIGMA_QUARTER
    decile = np.abs(past.deciles[side] - past.median) / SIGMA_TENTH
    # The unit is that of a range: its floor is turned into one of a deviation.
    return baseline.unit(GAUSSIAN_RANGE * np.maximum(quartile, decile), values) / GAUSSIAN_RANGE
