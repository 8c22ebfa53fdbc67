"""What all detectors share about a block of series: the history in order, its middle, its range, its floors."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.ordered import Ordered
from exporter.screening.past import Past
from exporter.screening.policy import BoolArray, Policy
from exporter.series.frame import FloatArray

LARGEST = 1e300
"""Values beyond this are taken as this: sums and differences of them stay finite."""
STEPS_FLOOR = 3.0
"""A range is never taken as smaller than this many of the smallest steps seen: a count that was 8 and 9 may be 10."""
_VARYING_FLOOR = 1e-4
"""Nor smaller than this share of the largest magnitude: what a moving series does below that matters to nobody."""
_STANDING_FLOOR = 1e-2
"""The same for a series that mostly stands: the only scale it offers is its own value."""
_SMALLEST = 1e-305
_GUARD_SHARE = 16


DEFAULT_SENSITIVITY_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set about screening."""

    sensitivity_days: float = DEFAULT_SENSITIVITY_DAYS
    """A calm series crosses the boundary by chance about once in this many days."""
    judged: int = 4
    """How many of the newest instants are judged, at least 1: scraped each 15 s and screened each minute, 4 miss none."""
    min_history: int = 10
    """With fewer values than this before the judged ones there is no score. At least 2."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """A block of series and the statistics of their history.

    The newest `guard` instants (a 16th of the window, at least the judged ones) are not part of the history: what is
    judged must not be part of what it is judged against, nor an anomaly that began a moment ago. So an excursion stays
    visible for a while, and becomes history as the window passes.
    """

    values: FloatArray
    """[rows × instants], within ±LARGEST, oldest first; NaN where there is none."""
    absent: BoolArray | None
    """[rows × instants]: where the source gave no value; None when it gave all."""
    whole: bool
    """Whether `values` has no NaN."""
    times: FloatArray
    """[instants]: Unix seconds."""
    policy: Policy
    min_history: int
    judged: int
    guard: int
    past: Ordered
    """The history in order of size."""
    standing: BoolArray
    """[rows]: whether the middle half of the history is one single value."""
    floor: FloatArray
    """[rows]: the smallest range that this series can have, positive."""
    remembered: Past
    """What the days before the window say."""
    boundary: float
    """The logarithm of the tail probability at which a score is 0.5."""
    sensitivity_days: float

    @property
    def extremes(self) -> tuple[FloatArray, FloatArray]:
        """[rows] each: the highest and the lowest of the judged values; NaN where there are none."""
        top, bottom = self.newest[:, 0], self.newest[:, 0]
        for column in range(1, self.judged):
            top, bottom = np.fmax(top, self.newest[:, column]), np.fmin(bottom, self.newest[:, column])
        return top, bottom

    @property
    def ready(self) -> BoolArray:
        """[rows]: whether the history is long enough to judge by."""
        return self.past.count >= self.min_history

    @property
    def history(self) -> FloatArray:
        """[rows × older instants], in time order."""
        return self.values[:, : self.values.shape[1] - self.guard]

    @property
    def newest(self) -> FloatArray:
        """[rows × judged], in time order."""
        return self.values[:, self.values.shape[1] - self.judged :]

    def unit(self, spread: FloatArray, values: FloatArray) -> FloatArray:
        """What distances are measured in: a spread, but not below what this series can resolve.

        Args:
            spread: `[rows]` the range that the history shows.
            values: `[rows × k]` what is measured; a share of it is part of the floor, so that a series that was always
                0 has a scale too.

        Returns:
            `[rows × k]`, positive; NaN where `values` is.
        """
        share = np.where(self.standing, _STANDING_FLOOR, _VARYING_FLOOR)
        unit: FloatArray = np.maximum(np.maximum(spread, self.floor)[:, None], share[:, None] * np.abs(values))
        return unit


def guard_of(instants: int, judged: int) -> int:
    """How many of the newest of so many instants are not part of the history."""
    return max(judged, instants // _GUARD_SHARE)


def baseline_of(
    values: FloatArray, times: FloatArray, policy: Policy, settings: Settings, *, remembered: Past, boundary: float
) -> Baseline:
    """The baseline of a block of series.

    Infinite values are taken as ±LARGEST where they are judged. They teach the history nothing unless they are what a
    series mostly has; nor do values outside the valid range.

    Args:
        values: `[rows × instants]`, with at least as many instants of history as are judged; not changed.
        times: `[instants]`.
        policy: of these rows.
        settings: what can be set.
        remembered: about these rows.
        boundary: the logarithm of the tail probability at which a score is 0.5.
    """
    instants = values.shape[1]
    absent = np.isnan(values)
    gaps = bool(absent.any())
    guard = guard_of(instants, settings.judged)
    clean = np.clip(values, -LARGEST, LARGEST)
    history = clean[:, : instants - guard]
    forgotten = _forget_invalid(history, policy)
    first = Ordered.of(history, whole=not (gaps or forgotten))
    past = _forget_infinite(history, first)
    standing = past.quartiles[0] == past.quartiles[1]
    share = np.where(standing, _STANDING_FLOOR, _VARYING_FLOOR)
    magnitude = np.maximum(np.abs(past.minimum), np.abs(past.maximum))
    return Baseline(
        values=clean,
        absent=absent if gaps else None,
        whole=not (gaps or forgotten) and past is first,
        times=times,
        policy=policy,
        min_history=settings.min_history,
        judged=settings.judged,
        guard=guard,
        past=past,
        standing=standing,
        floor=np.maximum(np.maximum(STEPS_FLOOR * past.step(), share * magnitude), _SMALLEST),
        remembered=remembered,
        boundary=boundary,
        sensitivity_days=settings.sensitivity_days,
    )


def _forget_invalid(history: FloatArray, policy: Policy) -> bool:
    """Take values outside the valid range out of the history, in place; whether there is any such range."""
    outside = policy.outside(history)
    if outside is None:
        return False
    history[outside] = np.nan
    return True


def _forget_infinite(history: FloatArray, ordered: Ordered) -> Ordered:
    """Take the infinite values out of the history of series that are mostly finite, in place."""
    touched = np.flatnonzero((ordered.minimum <= -LARGEST) | (ordered.maximum >= LARGEST))
    if not touched.size:
        return ordered
    endless = np.abs(history[touched]) >= LARGEST
    rare = 2 * np.count_nonzero(endless, axis=1) < ordered.count[touched]
    history[touched] = np.where(endless & rare[:, None], np.nan, history[touched])
    return Ordered.of(history, whole=False)
