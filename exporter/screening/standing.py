"""How odd a group is as a whole: what its series show together, held for a while, against what it usually shows."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from exporter.screening.groups import GroupScore
from exporter.screening.tails import log_boundary
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels

BOUNDARY = 5.1
"""The sum of strangeness at which a group is anomalous. Chosen on the Server Machine Dataset: docs/evaluation.md."""
_HALF_LIFE = 600.0
"""Seconds in which a group's oddness halves after its series are calm: faults come in bursts."""
_USUAL_SHARE = 0.75
_USUAL_FACTOR = 1.25
"""A group whose hourly peaks are often high must exceed their 75 % quantile by this factor."""
_HOUR = 3600.0
_DAY_OF_PEAKS = 24
PEAKS = 14 * 24
"""How many hourly peaks are remembered of a group."""
_ABSENT_HOURS = 24
_USUAL_DAYS = 30.0
_FIELDS = 4


@dataclass(frozen=True, eq=False)
class Habits:
    """What is remembered of groups, apart from what goes on."""

    keys: tuple[Labels, ...]
    state: FloatArray
    """[groups × 4]: oddness, when it was that (Unix seconds), the hour that runs (Unix seconds over 3600), its peak."""
    peaks: FloatArray
    """[groups × PEAKS]: of the hours before, the oldest first; NaN behind the newest."""

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays are not as long as there are groups."""
        groups = len(self.keys)
        if self.state.shape != (groups, _FIELDS) or self.peaks.shape != (groups, PEAKS):
            raise ValueError(f"{self.state.shape} and {self.peaks.shape} are not the habits of {groups} groups")


@dataclass(eq=False)
class _Group:
    oddness: float = 0.0
    at: float = 0.0
    hour: int = -1
    peak: float = 0.0
    boundary: float = BOUNDARY
    peaks: deque[float] = field(default_factory=lambda: deque(maxlen=PEAKS))


class Standings:
    """The groups of a watch over time. Not safe to use from several threads.

    A group's oddness is the sum of its series' strangeness, divided by its boundary; it falls by half each 10 minutes.
    The score is `x / (1 + x)`, so that 0.5 is the boundary here too. A group of one series scores what its series
    scores.

    Args:
        interval: seconds between screenings.
        sensitivity_days: days in which a calm group may cross the boundary about once.
    """

    def __init__(self, interval: float, sensitivity_days: float) -> None:
        self._groups: dict[Labels, _Group] = {}
        self._least = BOUNDARY * log_boundary(interval, sensitivity_days) / log_boundary(interval, _USUAL_DAYS)

    def judge(self, scores: Mapping[Labels, GroupScore], now: float) -> dict[Labels, GroupScore]:
        """The same groups with their scores; groups that are absent for a day are forgotten.

        Args:
            scores: of this screening, without `score`.
            now: Unix seconds.
        """
        oldest = int(now // _HOUR) - _ABSENT_HOURS
        away = {key: one for key, one in self._groups.items() if key not in scores and one.hour >= oldest}
        self._groups = {key: self._groups.get(key) or _Group(boundary=self._least) for key in scores} | away
        return {key: replace(score, score=self._score(score, now)) for key, score in scores.items()}

    def habits(self) -> Habits:
        """What is remembered now; nothing changes it any more."""
        groups = self._groups.values()
        peaks = np.full((len(groups), PEAKS), np.nan)
        for row, group in enumerate(groups):
            peaks[row, : len(group.peaks)] = group.peaks
        state = [(group.oddness, group.at, group.hour, group.peak) for group in groups]
        return Habits(tuple(self._groups), np.array(state, dtype=np.float64).reshape(-1, _FIELDS), peaks)

    def restore(self, habits: Habits) -> None:
        """Go on from what was remembered."""
        self._groups = {}
        for key, state, peaks in zip(habits.keys, habits.state.tolist(), habits.peaks, strict=True):
            oddness, at, hour, peak = state
            group = _Group(oddness, at, int(hour), peak)
            group.peaks.extend(peaks[~np.isnan(peaks)].tolist())
            group.boundary = self._boundary(group)
            self._groups[key] = group

    def _score(self, score: GroupScore, now: float) -> float:
        group = self._groups[score.key]
        self._count(group, score.strangeness, now)
        if np.isnan(score.top_score) or score.total == 1:
            return score.top_score
        faded = group.oddness * 0.5 ** (max(0.0, now - group.at) / _HALF_LIFE)
        group.oddness, group.at = max(score.strangeness / group.boundary, faded), now
        return group.oddness / (1.0 + group.oddness)

    def _count(self, group: _Group, strangeness: float, now: float) -> None:
        """Keep the peak of each hour; what is usual is worked out as an hour begins."""
        hour = int(now // _HOUR)
        if hour == group.hour:
            group.peak = max(group.peak, strangeness)
            return
        if hour - group.hour > PEAKS:
            group.peaks.clear()
        elif group.hour >= 0:
            group.peaks.append(group.peak)
        group.hour, group.peak = hour, strangeness
        group.boundary = self._boundary(group)

    def _boundary(self, group: _Group) -> float:
        if len(group.peaks) < _DAY_OF_PEAKS:
            return self._least
        return max(self._least, _USUAL_FACTOR * float(np.quantile(group.peaks, _USUAL_SHARE)))
