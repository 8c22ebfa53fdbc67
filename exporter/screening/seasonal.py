"""A break with the daily shape: the mean of the last hour against the same time of the days before."""

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import SEASONAL_BREAK, Detection
from exporter.screening.evidence_long import seasonal_text
from exporter.screening.tails import log_of_oddness


def seasonal(baseline: Baseline) -> Detection:
    """Judge by how far the mean of the last hour leaves the band of its time of the day.

    The band reaches from the lowest to the highest mean of an hour at this time, an hour more or less, on the last 7 days, so
    that it knows last week's weekday too. The distance beyond it, less the farthest such distance that history has seen, is
    measured in the middle 90 % of the changes from one day to the next; at 1 a series with a long history is anomalous. Only for series that have a
    daily shape (`expected._PERIODIC`). Chosen on labelled series: docs/evaluation.md.
    """
    past, policy = baseline.remembered, baseline.policy
    expected, hour = past.expected, past.means[0]
    with np.errstate(invalid="ignore"):
        above = hour - past.season_high - expected.season_above
        below = past.season_low - expected.season_below - hour
    up = np.nan_to_num(above, nan=-np.inf) >= np.nan_to_num(below, nan=-np.inf)
    usual = np.where(up, past.season_high, past.season_low)
    change = ((hour - usual) * past.code.scale)[:, None]
    allowed = policy.matters(change, past.code.read(usual)[:, None])[:, 0]
    oddness = np.fmax(np.fmax(above, below) / expected.season_unit * past.trust, 0.0)
    oddness = np.where(past.ready & allowed, oddness, 0.0)

    def words(row: int, unit: str) -> str | None:
        if oddness[row] <= 0:
            return None
        low, value, high = (
            float(one[row] * past.code.scale[row] + past.code.offset[row])
            for one in (past.season_low, hour, past.season_high)
        )
        return seasonal_text(hours=past.slot_hours, value=value, low=low, high=high, unit=unit)

    kind = np.full(oddness.size, SEASONAL_BREAK, dtype=np.int8)
    log_tail = log_of_oddness(np.nan_to_num(oddness), baseline.boundary, baseline.sensitivity_days)
    return Detection("seasonal", log_tail, kind, words)
