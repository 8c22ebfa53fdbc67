"""What moved first in a group, and what moved with it: facts about several series side by side.

Onset. The excursion of a series begins with the first instant of its newest run of values outside the band that the
screen expects; up to two instants inside, or without a value, do not end a run. Where the band does not show it, because
a shift has lasted long enough to widen the band or because there is none, it begins at the change point: the split
that leaves the least sum of squares around two means, which is the maximum-likelihood estimate for one change in the
mean of Gaussian values (Hinkley, Inference about the change-point in a sequence of random variables, Biometrika 57,
1970). A series that is missing or stands still begins with the run at its end.

Moving together. Pearson's correlation over the newest instants that both have is at least 0.9 in size, and so that two
series that merely drift do not count (Granger and Newbold, Spurious regressions in econometrics, Journal of
Econometrics 2, 1974), the correlation of their first differences has the same sign and is at least 0.5 in size. Series
whose onsets lie within two instants need not pass the second test: the differences of two steps that lie an instant
apart do not meet.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np

from exporter.screening.evidence import format_number, format_span
from exporter.screening.policy import BoolArray
from exporter.screening.result import THRESHOLD, ScreenedSeries
from exporter.series.frame import FloatArray, IntArray

_REACH = 2
"""Instants that onsets may lie apart and still be one, and that may interrupt a run."""
_RECENT = 60
"""Newest instants that are compared."""
_FEWEST = 12
"""Instants that two series must have in common."""
_LEAST_CORRELATION = 0.9
_LEAST_OF_CHANGES = 0.5
_SHORTEST_SIDE = 3
"""Instants on either side of a change point."""
_EXPLAINED = 0.5
"""Share of the variance that a change point must explain."""
_FRESH_SHARE = 4
"""A run that ended before the newest quarter of the window is not what the series is odd for."""
_MOST_NAMED = 8
_NOISE = 1e-12


@dataclass(frozen=True, slots=True)
class Joint:
    """A fact about several series."""

    text: str
    """Series are called S1, S2 … by rank."""
    members: tuple[int, ...]
    """Which series it is about, by rank from 0."""


@dataclass(frozen=True, eq=False)
class Moves:
    """When each of some series set off, and which move alike."""

    began: FloatArray
    """[series]: Unix seconds of the onset; NaN where there is none."""
    open: BoolArray
    """[series]: whether it may have begun before its window did."""
    alike: FloatArray
    """[series × series]: the correlation of those that move together, NaN for all others."""
    step: float
    """Seconds between instants, the longest of all series."""
    span: float
    """Seconds that were compared."""
    at: float
    """The present, Unix seconds."""

    @classmethod
    def of(cls, series: Sequence[ScreenedSeries], at: float) -> Self:
        """Compare series, which may come from different targets.

        Args:
            series: by rank.
            at: the present, Unix seconds.
        """
        onsets = [_onset(one) for one in series]
        began = [np.nan if index is None else one.times[index] for one, index in zip(series, onsets, strict=True)]
        step = max((one.interval for one in series), default=0.0)
        values = _aligned(series, step)
        return cls(
            began=np.array(began),
            open=np.array([index == 0 for index in onsets], dtype=np.bool_),
            alike=_alike(values, np.array(began), _REACH * step),
            step=step,
            span=step * max(values.shape[1] - 1, 0),
            at=at,
        )

    def facts(self, count: int, most: int) -> tuple[Joint, ...]:
        """What is worth saying about the first `count` series: the order of onsets, then what moves with what.

        Args:
            count: how many are shown. Nothing can be said about fewer than two.
            most: facts at most.
        """
        if count < 2:
            return ()
        order = self._order(count)
        facts = ([order] if order else []) + list(self._followers(count))
        return tuple(facts[:most])

    def _order(self, count: int) -> Joint | None:
        known = np.flatnonzero(~np.isnan(self.began[:count]))
        if not known.size:
            return None
        early = [int(row) for row in known if self.open[row]]
        steps = self._steps(known[~self.open[known]])
        parts = []
        if early:
            parts.append(
                f"{_list(early)} changed before {self._clock(min(self.began[early]))}, where the history begins"
            )
        for place, rows in enumerate(steps):
            first = float(self.began[rows[0]])
            if place:
                later = format_span(round(first - float(self.began[steps[0][0]]), 1))
                parts.append(f"{_list(rows)} followed {later} later")
            else:
                first_of_all = " first" if len(steps) > 1 and not early else ""
                alone = " alone" if len(known) == 1 else ""
                together = f" together (within {format_span(_REACH * self.step)})" if len(rows) > 1 else ""
                parts.append(f"{_list(rows)}{alone} changed{first_of_all}{together}, at {self._clock(first)}")
        return Joint("; ".join(parts), tuple(known.tolist()))

    def _steps(self, rows: IntArray) -> list[list[int]]:
        """Rows by onset; those within reach of the first of a step belong to it."""
        steps: list[list[int]] = []
        for row in rows[np.argsort(self.began[rows], kind="stable")].tolist():
            if steps and self.began[row] - self.began[steps[-1][0]] <= _REACH * self.step:
                steps[-1].append(row)
            else:
                steps.append([row])
        return [sorted(step, key=lambda row: (self.began[row], row)) for step in steps]

    def _followers(self, count: int) -> Iterator[Joint]:
        """Each odd series, by rank, with those that move like it and have not been told of."""
        told: set[int] = set()
        for head in np.flatnonzero(~np.isnan(self.began[:count])).tolist():
            if head in told:
                continue
            others = [row for row in np.flatnonzero(~np.isnan(self.alike[head, :count])).tolist() if row not in told]
            if not others:
                continue
            told |= {head, *others}
            halves = [("with", [row for row in others if self.alike[head, row] > 0])]
            halves.append(("against", [row for row in others if self.alike[head, row] < 0]))
            said = [self._moving(way, rows, head) for way, rows in halves if rows]
            yield Joint(f"{', '.join(said)}, over the newest {format_span(self.span)}", (head, *others))

    def _moving(self, way: str, rows: list[int], head: int) -> str:
        least = min((float(self.alike[head, row]) for row in rows), key=abs)
        at_least = "at least " if way == "with" and len(rows) > 1 else "at most " if len(rows) > 1 else ""
        return f"{_list(rows)} moved {way} S{head + 1} (correlation {at_least}{format_number(_towards_zero(least))})"

    def _clock(self, when: float) -> str:
        moment, now = (datetime.fromtimestamp(float(time), UTC) for time in (when, self.at))
        return f"{moment:%H:%M} UTC" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M} UTC"


def _towards_zero(correlation: float) -> float:
    """To two digits: 1 is said of no less than 1."""
    return math.trunc(100 * correlation * (1 + _NOISE)) / 100


def _list(rows: Sequence[int]) -> str:
    names = [f"S{row + 1}" for row in rows[:_MOST_NAMED]]
    more = len(rows) - len(names)
    if more:
        return f"{', '.join(names)} and {more} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _onset(series: ScreenedSeries) -> int | None:
    """The index of the instant at which the excursion of an odd series began; None where that cannot be told."""
    values = series.values
    if not (series.score >= THRESHOLD and values.size):
        return None
    if series.kind in ("missing", "flatline"):
        same = np.isnan(values) if series.kind == "missing" else values == values[-1]
        return _start_of_last_run(same) if same[-1] else None
    above, below = values > series.expected_upper, values < series.expected_lower
    outside = np.flatnonzero({"spike": above, "drop": below}.get(series.kind or "", above | below))
    fresh = values.size - max(values.size // _FRESH_SHARE, 2 * _REACH)
    if not outside.size or outside[-1] < fresh:
        return _change_point(values)
    breaks = np.flatnonzero(np.diff(outside) > _REACH + 1)
    return int(outside[breaks[-1] + 1] if breaks.size else outside[0])


def _start_of_last_run(flags: BoolArray) -> int:
    different = np.flatnonzero(~flags)
    return int(different[-1]) + 1 if different.size else 0


def _change_point(values: FloatArray) -> int | None:
    """The first instant after the one change in the mean that explains most; None where none explains half.

    Only the newer half is looked at: a series is odd for what it does now.
    """
    present = np.flatnonzero(np.isfinite(values))
    if present.size < 2 * _SHORTEST_SIDE:
        return None
    centred = _centred(values[None, present])[0]
    total = float(centred @ centred)
    before = np.arange(present.size // 2, present.size - _SHORTEST_SIDE + 1)
    sums = np.cumsum(centred)[before - 1]
    explained = sums**2 * present.size / (before * (present.size - before))
    best = int(np.argmax(explained))
    return int(present[before[best]]) if total > 0 and explained[best] >= _EXPLAINED * total else None


def _aligned(series: Sequence[ScreenedSeries], step: float) -> FloatArray:
    """[series × newest instants]: each series' value at, or less than a step before, the instants of one grid."""
    newest = max((float(one.times[-1]) for one in series if one.times.size), default=0.0)
    longest = max((one.times.size for one in series), default=0)
    grid = newest - step * np.arange(min(_RECENT, longest))[::-1]
    values = np.full((len(series), grid.size), np.nan)
    for row, one in enumerate(series):
        place = np.searchsorted(one.times, grid, side="right") - 1
        has = place >= 0
        has[has] = grid[has] - one.times[place[has]] < step
        values[row, has] = one.values[place[has]]
    return values


def _alike(values: FloatArray, began: FloatArray, reach: float) -> FloatArray:
    """[series × series]: the correlation where two move together, else NaN."""
    finite = _scaled(np.where(np.isfinite(values), values, np.nan))
    level, change = _correlation(finite), _correlation(np.diff(finite, axis=1))
    with np.errstate(invalid="ignore"):
        at_once = np.abs(began[:, None] - began[None, :]) <= reach
        confirmed = (np.abs(change) >= _LEAST_OF_CHANGES) & (change * level > 0)
        alike = (np.abs(level) >= _LEAST_CORRELATION) & (at_once | confirmed)
    np.fill_diagonal(alike, val=False)
    return np.where(alike, level, np.nan)


def _correlation(values: FloatArray) -> FloatArray:
    """Pearson's, of each pair of rows over the columns that both have; NaN where they are too few or one is constant."""
    present = np.isfinite(values).astype(np.float64)
    centred = _centred(values)
    common = present @ present.T
    sums, squares = centred @ present.T, centred**2 @ present.T
    count = np.maximum(common, 1.0)
    spread = squares - sums**2 / count
    together = centred @ centred.T - sums * sums.T / count
    varies = spread > _NOISE * np.maximum(squares, _NOISE)
    usable = varies & varies.T & (common >= _FEWEST)
    scale = np.sqrt(np.where(usable, spread * spread.T, 1.0))
    return np.where(usable, np.clip(together / scale, -1.0, 1.0), np.nan)


def _centred(values: FloatArray) -> FloatArray:
    """Rows less their mean, within ±1, and 0 where there is no finite value: sums of squares of them are finite."""
    present = np.isfinite(values)
    clean = _scaled(np.where(present, values, 0.0))
    mean = clean.sum(axis=1, keepdims=True) / np.maximum(np.count_nonzero(present, axis=1, keepdims=True), 1)
    return _scaled(np.where(present, clean - mean, 0.0))


def _scaled(values: FloatArray) -> FloatArray:
    """Rows in units of their largest value."""
    largest = np.fmax.reduce(np.abs(values), axis=1, keepdims=True, initial=0.0)
    return values / np.where(largest > 0, largest, 1.0)
