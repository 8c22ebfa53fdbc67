"""Beyond all that the last days saw: the newest value, and the means of the last hours."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import LEVEL_SHIFT, Detection, KindArray, direction_kind
from exporter.screening.evidence_long import beyond_text
from exporter.screening.expected import HOURS
from exporter.screening.past import trust_of
from exporter.screening.policy import BoolArray
from exporter.screening.tails import log_of_oddness
from exporter.series.frame import FloatArray, IntArray

_WORTH = np.array([0.2, 0.15, 0.05])
"""How far beyond, in ranges, the newest value and the means of 1 and 6 hours each count 1."""
_MOST = 6.0
"""What one of them counts at most: one huge spike is not as odd as a lasting excess, however high it goes."""
_BOUNDARY = 3.2
"""The sum at which a series with a long history is anomalous."""
_LASTING = 2
"""From the mean of 6 hours on, an excess is a level."""


def beyond(baseline: Baseline) -> Detection:
    """Judge by how far the present lies beyond the extremes of the history, in units of its own 0.5-99.5 % range.

    The distances of the newest value and of the means of the last 1 and 6 hours are taken in shares of their own
    history's range, counted in steps of `_WORTH` up to `_MOST` each, and added: what goes on counts more than what flashes up.
    Numbers and form were chosen on the Numenta Anomaly Benchmark's labelled series (docs/evaluation.md), where
    the boundary was crossed outside of labelled windows about once in 56 days.
    """
    past = baseline.remembered
    reached = _reached(baseline)
    leading, up, kind = leading_of(reached.counted, reached.up)

    def words(row: int, unit: str) -> str | None:
        if not past.ready[row] or not reached.counted[:, row].any():
            return None
        length = int(leading[row])
        present = reached.tops if up[row] else reached.bottoms
        extreme = past.expected.high if up[row] else past.expected.low
        return beyond_text(
            hours=HOURS[length - 1] * past.slot_hours if length else 0,
            value=_real(present[length, row], baseline, row),
            extreme=_real(extreme[length, row], baseline, row),
            above=bool(up[row]),
            ranges=float(reached.excess[length, row]),
            days=float(past.days[row]),
            unit=unit,
        )

    log_tail, lasting = (
        log_of_oddness(_oddness(baseline, counted), baseline.boundary, baseline.sensitivity_days)
        for counted in (reached.counted, reached.still_counted)
    )
    return Detection("beyond", log_tail, kind, words, lasting=lasting)


@dataclass(frozen=True, eq=False)
class _Reached:
    """`[1 + hours × rows]` each: the newest value first, then the means."""

    tops: FloatArray
    bottoms: FloatArray
    up: BoolArray
    excess: FloatArray
    counted: FloatArray
    still_counted: FloatArray
    """The longer means count no more than the last hour's: what has passed does not go on."""


def _reached(baseline: Baseline) -> _Reached:
    past, expected = baseline.remembered, baseline.remembered.expected
    top, bottom = baseline.extremes
    tops = np.concatenate([past.code.write(top)[None, :], past.means])
    bottoms = np.concatenate([past.code.write(bottom)[None, :], past.means])
    with np.errstate(invalid="ignore", over="ignore"):
        above, below = (tops - expected.high) / expected.unit, (expected.low - bottoms) / expected.unit
        up: BoolArray = np.fmax(above, 0.0) >= np.fmax(below, 0.0)
        change = np.where(up, tops, bottoms) - expected.median
    usual = past.code.read(expected.median)
    allowed = baseline.policy.matters((change * past.code.scale).T, usual[:, None]).T
    excess = np.where(allowed, np.fmax(np.fmax(above, below), 0.0), 0.0)
    counted = steps_of(excess)
    return _Reached(tops, bottoms, up, excess, counted, still_of(counted, up, past.means[0]))


def _oddness(baseline: Baseline, counted: FloatArray) -> FloatArray:
    past = baseline.remembered
    return np.where(past.ready, oddness_of(counted, past.days), 0.0)


def steps_of(excess: FloatArray) -> FloatArray:
    """[1 + hours × rows]: how much each excess counts.

    Args:
        excess: likewise: how far the newest value and the means lie beyond the history, in ranges; not negative.
    """
    counted: FloatArray = np.minimum(excess / _WORTH[:, None], _MOST)
    return counted


def still_of(counted: FloatArray, up: BoolArray, hour: FloatArray) -> FloatArray:
    """[1 + hours × rows]: what of `counted` goes on: a longer mean counts no more than that of the last hour.

    Args:
        counted: as `steps_of` gives it.
        up: likewise: whether it lies above.
        hour: `[rows]`: the mean of the last hour; NaN where it is not known.
    """
    most = np.where(np.isnan(hour), np.inf, np.where(up[1] == up[_LASTING:], counted[1], 0.0))
    return np.concatenate([counted[:_LASTING], np.minimum(counted[_LASTING:], most)])


def oddness_of(counted: FloatArray, days: FloatArray) -> FloatArray:
    """[rows]: 1 at the boundary.

    Args:
        counted: `[1 + hours × rows]`, as `steps_of` gives it.
        days: `[rows]`: how many taught it.
    """
    oddness: FloatArray = counted.sum(axis=0) * trust_of(days) / _BOUNDARY
    return oddness


def leading_of(counted: FloatArray, up: BoolArray) -> tuple[IntArray, BoolArray, KindArray]:
    """[rows] each: which of the newest value and the means counts most, whether it lies above, and what it looks like."""
    leading = counted.argmax(axis=0)
    upwards = up[leading, np.arange(leading.size)]
    kind = np.where(leading >= _LASTING, np.int8(LEVEL_SHIFT), direction_kind(upwards))
    return leading, upwards, kind.astype(np.int8)


def _real(value: float, baseline: Baseline, row: int) -> float:
    code = baseline.remembered.code
    return float(value * code.scale[row] + code.offset[row])
