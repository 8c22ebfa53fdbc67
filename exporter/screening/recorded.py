"""Series judged by what a ruler recorded of them (rules/screening.rules.yml) instead of by a history kept here.

Of every series one number is known, its distance beyond its history: 1 or -1 at the boundary, infinite outside the valid
range. Of the few that are worth a closer look, also the distances that it is made of, the extremes, and the window.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from exporter.screening.baseline import LARGEST, Settings
from exporter.screening.beyond import leading_of, oddness_of, steps_of, still_of
from exporter.screening.detection import KindArray, direction_kind
from exporter.screening.evidence import limits_text, numbers_in
from exporter.screening.evidence_long import beyond_text
from exporter.screening.expected import HOURS, SIGMA_END
from exporter.screening.policy import BoolArray, Policy
from exporter.screening.result import THRESHOLD, Evidence, Grouping, ScreenResult, Window
from exporter.screening.strange import strangeness_of
from exporter.screening.tails import IMPOSSIBLE, log_boundary, log_of_oddness, score_of
from exporter.series.frame import FloatArray, Frame, IntArray

LENGTHS = 1 + len(HOURS)
_MOST_LOOKED_AT = 500
"""So many series are looked at closer at most, the oddest first: a storm must not cost what pushing down saves."""


@dataclass(frozen=True, eq=False)
class Closer:
    """What was recorded of some series of a frame; NaN for what was not."""

    rows: IntArray
    """[k]: of the frame."""
    present: FloatArray
    """[1 + hours × k]: the newest value, then the means."""
    low: FloatArray
    """[1 + hours × k]: the least that the history saw of each."""
    high: FloatArray
    distance: FloatArray
    """[1 + hours × k]: how far beyond, in ranges; negative below."""
    width: FloatArray
    """[k]: the range of the values."""
    median: FloatArray
    days: FloatArray
    """[k]: how many taught it."""

    @classmethod
    def of_nothing(cls, rows: IntArray) -> Self:
        """Nothing was recorded of these rows."""
        lengths, single = np.full((LENGTHS, rows.size), np.nan), np.full(rows.size, np.nan)
        return cls(rows, lengths, lengths, lengths, lengths, single, single, single)


@dataclass(frozen=True, eq=False)
class RecordedResult(ScreenResult):
    """Scores for all series, windows for a few."""

    windows: ScreenResult
    """The few, as their windows alone look."""
    row_in_windows: IntArray
    """[series]: -1 for those without a window."""

    def held(self, rows: IntArray) -> IntArray:
        """Of these rows those whose windows were fetched."""
        return rows[self.row_in_windows[rows] >= 0]

    def window(self, row: int) -> Window:
        """The values of a series that is held."""
        return self.windows.window(int(self.row_in_windows[row]))


def recorded_scores(beyond: FloatArray, policy: Policy, settings: Settings, interval: float) -> FloatArray:
    """[series]: scores in 0..1 by the recorded distances alone; NaN for those without one.

    Args:
        beyond: `[series]`: 1 or -1 at the boundary, infinite outside the valid range.
        policy: of these series; only the direction is used here.
        settings: how they are screened.
        interval: seconds between screenings.
    """
    counts = (np.sign(beyond) * policy.direction >= 0) | np.isinf(beyond)
    return _scores(np.where(counts | np.isnan(beyond), np.abs(beyond), 0.0), settings, interval)


def worth_a_look(score: FloatArray, grouping: Grouping, threshold: float, limit: int) -> IntArray:
    """The rows whose windows are wanted: of each group with a suspicious series the oddest and, as context, others.

    Args:
        score: `[series]`.
        grouping: of these series.
        threshold: from which score a series is suspicious.
        limit: at most so many of a group.
    """
    suspicious = np.bincount(grouping.group[score >= threshold], minlength=len(grouping.keys)) > 0
    rows = np.flatnonzero(suspicious[grouping.group])
    rows = rows[np.lexsort((-score[rows], grouping.group[rows]))]
    groups = grouping.group[rows]
    first = np.searchsorted(groups, groups)
    rows = rows[np.arange(rows.size) - first < limit]
    return np.sort(rows[np.argsort(-score[rows], kind="stable")[:_MOST_LOOKED_AT]])


def screen_recorded(
    frame: Frame, policy: Policy, settings: Settings, closer: Closer, *, windows: ScreenResult, window_rows: IntArray
) -> RecordedResult:
    """Judge series by what was recorded of them.

    Where a series was looked at closer, its distances are counted here by the function that `beyond` uses, with the smallest
    change that matters to the user; elsewhere the recorded sum counts, which is the same without one.

    Args:
        frame: series × 1: the recorded distance of each.
        policy: as long as the frame has series.
        settings: how they are screened.
        closer: of some of them.
        windows: of the series in `window_rows`, screened as if nothing were known but the window: for its words.
        window_rows: `[k]`: of the frame.
    """
    beyond = frame.values[:, -1]
    rows = beyond.size
    score = recorded_scores(beyond, policy, settings, frame.interval)
    lasting, apart, kind = score.copy(), score.copy(), direction_kind(beyond >= 0)
    value, lower, upper = (np.full(rows, np.nan) for _ in range(3))
    strange, near = np.zeros(rows), closer.rows
    value[near], lower[near], upper[near] = closer.present[0], closer.low[0], closer.high[0]
    counted = _Counted.of(closer, policy.rows(near))
    certain = np.isinf(beyond)
    known = ~np.isnan(closer.days) & ~certain[near] & ~np.isnan(beyond[near])
    counts = near[known]
    score[counts] = _scores(oddness_of(counted.steps, closer.days)[known], settings, frame.interval)
    lasting[counts] = _scores(oddness_of(counted.still, closer.days)[known], settings, frame.interval)
    apart[counts] = _scores(oddness_of(counted.steps[:1], closer.days)[known], settings, frame.interval)
    kind[counts] = counted.kind[known]
    strange[near] = strangeness_of(counted.deviations)
    if frame.times.size:
        score[policy.quiet_at(float(frame.times[-1]))] = np.nan
    lasting[np.isnan(score)] = apart[np.isnan(score)] = np.nan
    row_in_windows = np.full(rows, -1, dtype=np.intp)
    row_in_windows[window_rows] = np.arange(window_rows.size)
    return RecordedResult(
        frame=replace(frame, values=value[:, None]),
        score=score,
        kind=np.where(score >= THRESHOLD, kind, -1).astype(np.int8),
        expected_lower=lower,
        expected_upper=upper,
        lasting=lasting,
        apart_from_means=apart,
        surprise=np.full(rows, np.nan),
        certain=certain,
        strangeness=strange,
        worded=_Worded(frame, policy, closer, counted, score, windows, row_in_windows),
        windows=windows,
        row_in_windows=row_in_windows,
    )


def _scores(oddness: FloatArray, settings: Settings, interval: float) -> FloatArray:
    days = settings.sensitivity_days
    boundary = log_boundary(interval, days)
    return score_of(np.maximum(log_of_oddness(oddness, boundary, days), IMPOSSIBLE), boundary)


@dataclass(frozen=True, eq=False)
class _Counted:
    excess: FloatArray
    """[1 + hours × k]: what of the distances matters."""
    steps: FloatArray
    still: FloatArray
    leading: IntArray
    """[k]"""
    up: BoolArray
    """[k]"""
    kind: KindArray
    deviations: FloatArray
    """[k]: of the newest value from the median, in standard deviations that the range would have."""

    @classmethod
    def of(cls, closer: Closer, policy: Policy) -> Self:
        with np.errstate(invalid="ignore", over="ignore"):
            change = closer.present - closer.median
        allowed = policy.matters(change.T, closer.median[:, None]).T
        excess = np.where(allowed, np.minimum(np.abs(np.nan_to_num(closer.distance)), LARGEST), 0.0)
        up: BoolArray = closer.distance >= 0
        steps = steps_of(excess)
        leading, upwards, kind = leading_of(steps, up)
        deviations = np.where(allowed[0], np.abs(change[0]) * 2 * SIGMA_END / closer.width, 0.0)
        still = still_of(steps, up, closer.present[1])
        return cls(excess, steps, still, leading, upwards, kind, deviations)


@dataclass(frozen=True, eq=False)
class _Worded:
    frame: Frame
    policy: Policy
    closer: Closer
    counted: _Counted
    score: FloatArray
    windows: ScreenResult
    row_in_windows: IntArray

    def describe(self, row: int) -> list[Evidence]:
        said = []
        unit = self.frame.series[row].unit
        for place in np.flatnonzero(self.closer.rows == row).tolist():
            outside = np.isinf(self.frame.values[row, -1])
            text = self._outside(place, row, unit) if outside else self._beyond(place, unit)
            detector = "valid range" if outside else "beyond"
            if text:
                said.append(Evidence(detector, text, numbers_in(text), float(np.nan_to_num(self.score[row]))))
        if self.row_in_windows[row] >= 0:
            said += self.windows.worded.describe(int(self.row_in_windows[row]))
        return said

    def _outside(self, place: int, row: int, unit: str) -> str:
        limit = self.policy.valid_max if self.frame.values[row, -1] > 0 else self.policy.valid_min
        return limits_text(float(self.closer.present[0, place]), float(limit[row]), unit)

    def _beyond(self, place: int, unit: str) -> str:
        length, up = int(self.counted.leading[place]), bool(self.counted.up[place])
        if not self.counted.excess[:, place].any():
            return ""
        extreme = self.closer.high if up else self.closer.low
        return beyond_text(
            hours=HOURS[length - 1] if length else 0,
            value=float(self.closer.present[length, place]),
            extreme=float(extreme[length, place]),
            above=up,
            ranges=float(self.counted.excess[length, place]),
            days=float(self.closer.days[place]),
            unit=unit,
        )
