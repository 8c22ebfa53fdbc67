"""What days of summaries say about the present: how far values and means have reached, and at this time of day.

All values here are in the series' own code (see `slots.Code`).
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from exporter.screening.ordered import Ordered, quantiles
from exporter.screening.policy import BoolArray
from exporter.screening.slots import (
    LONG_HIGH,
    LONG_LOW,
    MAXIMUM,
    MEAN,
    MEAN_HIGH,
    MEAN_LOW,
    MINIMUM,
    NINE_TENTHS,
    SHARES,
    SURPRISE,
    TENTH,
    Code,
    SmallArray,
)
from exporter.series.frame import FloatArray, IntArray

HOURS = (1, 6)
"""Lengths of the means that are judged beside single values."""
_VARYING_FLOOR = 1e-2
"""A range is never taken as smaller than this share of the largest magnitude in the history."""
_POINTS = 20
"""As many equally likely values stand for a slot where the values of all slots are put in order."""
_YOUNG = 6
"""The newest slots are not part of the record of surprise: what builds up slowly must not set its own mark."""
_POOLED = np.array([0.005, 0.1, 0.25, 0.5, 0.75, 0.9, 0.995])
_UPPER_HALF = _POOLED[3:]
SIGMA_QUARTER, SIGMA_TENTH, SIGMA_END = 0.6745, 1.2816, 2.5758
"""Where a Gaussian has its 75, 90 and 99.5 % quantiles, in standard deviations."""
_END_WEIGHT = 0.4
"""Of the ends in the spread: rare excesses of days ago widen it, but not to their own size."""
_PERIODIC = 0.5
"""A series has a daily shape where the middle 90 % of its changes from one day to the next span less than this share of what
the middle 90 % of its values span. In noise they span 1.4 times as much."""
_LEAST_DAYS_OF_SHAPE = 1.6
_NEIGHBOURS = (-1, 0, 1)
SEASON_DAYS = 7
_LEAST_SEASON = 6


@dataclass(frozen=True, eq=False)
class Expected:
    """What the slots up to some hour say; `[rows]` where nothing else is said, NaN while nothing is known."""

    count: FloatArray
    """How many slots taught it; 0 while nothing is known."""
    low: FloatArray
    """[1 + hours × rows]: the lowest value, and the lowest mean of each of `HOURS`."""
    high: FloatArray
    unit: FloatArray
    """[1 + hours × rows]: what distances beyond are measured in: the 0.5-99.5 % range, with a floor."""
    median: FloatArray
    up: FloatArray
    """One robust standard deviation upwards from the median."""
    down: FloatArray
    hour_range: FloatArray
    """The median of the 10-90 % ranges of the hours."""
    hour_range_up: FloatArray
    """One robust standard deviation upwards from it."""
    season_unit: FloatArray
    """The middle 90 % of changes from one day to the next; NaN for a series without a daily shape."""
    season_above: FloatArray
    """How far a mean of an hour has been above all at its time of the day on the days before it."""
    season_below: FloatArray
    record: FloatArray
    """The greatest surprise of the window's detectors, in nats."""

    @classmethod
    def empty(cls, rows: int) -> Self:
        """Nothing is known."""
        lengths = len(HOURS) + 1
        shapes = {"count": (rows,), "low": (lengths, rows), "high": (lengths, rows), "unit": (lengths, rows)}
        values = {field.name: np.full(shapes.get(field.name, (rows,)), np.nan) for field in fields(cls)}
        values["count"][:] = 0.0
        return cls(**values)

    def rows(self, which: slice | IntArray) -> Self:
        """What is known of some of the series."""
        return type(self)(**{field.name: getattr(self, field.name)[..., which] for field in fields(self)})

    def taken(self, rows: IntArray) -> Self:
        """What is known of the series in these rows; nothing of those numbered -1."""
        blank = type(self).empty(len(rows))
        known = np.flatnonzero(rows >= 0)
        for field in fields(self):
            getattr(blank, field.name)[..., known] = getattr(self, field.name)[..., rows[known]]
        return blank

    def put(self, which: slice, other: Self) -> None:
        """Take over what is newly known of some of the series, in place."""
        for field in fields(self):
            getattr(self, field.name)[..., which] = getattr(other, field.name)


def expect(kept: SmallArray, usable: BoolArray, code: Code, per_day: int) -> Expected:
    """Work out what slots say.

    Args:
        kept: `[rows × FIELDS × slots]`, the oldest slot first.
        usable: `[rows × slots]`: whether a slot may teach how far values have reached; slots without values never do. The
            median and the spread learn from all: a fault hardly moves them.
        code: of these rows.
        per_day: slots of a day; 0 where a day is no whole number of them.
    """
    usable = usable & ~np.isnan(kept[:, MEAN])
    slots = np.where(usable[:, None, :], kept, np.nan).astype(np.float64)
    floor = _floor(slots, code)
    everything = quantiles(_points(kept.astype(np.float64)), _POOLED)
    lowest, tenth, quarter, median, three_quarters, nine_tenths, highest = everything
    width = highest - lowest
    held = np.flatnonzero((~usable & ~np.isnan(kept[:, MEAN])).any(axis=1))
    if held.size:
        ends = quantiles(_points(slots[held]), _POOLED[[0, -1]])
        width[held] = ends[1] - ends[0]
    ranges = [_Range(_least(slots[:, MINIMUM]), _most(slots[:, MAXIMUM]), width)]
    means = Ordered.of(slots[:, MEAN], whole=False)
    ranges.append(_Range(_least(slots[:, MEAN_LOW]), _most(slots[:, MEAN_HIGH]), means.upper - means.lower))
    rolled = Ordered.of(np.where(usable, _rolling(kept[:, MEAN], HOURS[1]), np.nan), whole=False)
    # Means were also seen between the ends of slots: what is compared with the present must have been seen as it is.
    longest = np.fmin(rolled.minimum, _least(slots[:, LONG_LOW])), np.fmax(rolled.maximum, _most(slots[:, LONG_HIGH]))
    ranges.append(_Range(*longest, rolled.upper - rolled.lower))
    season_unit, above, below = _season(slots[:, MEAN], per_day, floor)
    hours = quantiles(kept[:, NINE_TENTHS].astype(np.float64) - kept[:, TENTH], _UPPER_HALF)
    return Expected(
        count=np.count_nonzero(usable, axis=1).astype(np.float64),
        low=np.stack([one.low for one in ranges]),
        high=np.stack([one.high for one in ranges]),
        unit=np.stack([np.maximum(one.width, floor) for one in ranges]),
        median=median,
        up=_spread(three_quarters - median, nine_tenths - median, highest - median, floor),
        down=_spread(median - quarter, median - tenth, median - lowest, floor),
        hour_range=hours[0],
        hour_range_up=_spread(hours[1] - hours[0], hours[2] - hours[0], hours[3] - hours[0], floor),
        season_unit=season_unit,
        season_above=above,
        season_below=below,
        record=np.nan_to_num(_most(slots[:, SURPRISE, :-_YOUNG])),
    )


@dataclass(frozen=True, eq=False)
class _Range:
    low: FloatArray
    high: FloatArray
    width: FloatArray


def season_band(means: SmallArray, usable: BoolArray, per_day: int) -> tuple[FloatArray, FloatArray]:
    """[rows] each: the lowest and the highest mean of an hour at this time of the day, an hour more or less, in 7 days.

    Args:
        means: `[rows × slots]`, the oldest first; the present slot follows the last.
        usable: likewise.
        per_day: slots of a day; 0 for none.
    """
    columns = _same_time(means.shape[1], means.shape[1], per_day)
    if not columns:
        return np.full(len(means), np.nan), np.full(len(means), np.nan)
    seen = np.where(usable[:, columns], means[:, columns], np.nan).astype(np.float64)
    enough = np.count_nonzero(~np.isnan(seen), axis=1) >= _LEAST_SEASON
    return np.where(enough, _least(seen), np.nan), np.where(enough, _most(seen), np.nan)


def _same_time(slot: int, slots: int, per_day: int) -> list[int]:
    """The slots at the same time of the last days, of those before this one."""
    if not per_day:
        return []
    found = [slot - day * per_day + near for day in range(1, SEASON_DAYS + 1) for near in _NEIGHBOURS]
    return [column for column in found if 0 <= column < min(slot, slots)]


def _season(means: FloatArray, per_day: int, floor: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The unit of seasonal breaks, and how far such breaks have gone in either direction."""
    rows, slots = means.shape
    nothing = np.full(rows, np.nan)
    if not per_day or slots <= per_day:
        return nothing, nothing, nothing
    changes = means[:, per_day:] - means[:, :-per_day]
    enough = np.count_nonzero(~np.isnan(changes), axis=1) >= _LEAST_DAYS_OF_SHAPE * per_day
    spread, width = _middle(changes), _middle(means)
    shaped = enough & (spread <= _PERIODIC * width)
    if not shaped.any():
        return nothing, nothing, nothing
    above, below = _breaks(means[shaped], per_day)
    unit = np.where(shaped, np.maximum(spread, floor), np.nan)
    most_above, most_below = nothing.copy(), nothing.copy()
    most_above[shaped], most_below[shaped] = above, below
    return unit, most_above, most_below


def _middle(values: FloatArray) -> FloatArray:
    """[rows]: the range of the middle 90 %."""
    ends = quantiles(values, np.array([0.05, 0.95]))
    middle: FloatArray = ends[1] - ends[0]
    return middle


def _breaks(means: FloatArray, per_day: int) -> tuple[FloatArray, FloatArray]:
    """[rows] each: how far means have left the band of their time of the day, upwards and downwards; at least 0."""
    rows, slots = means.shape
    highest, lowest = np.full((rows, slots), -np.inf), np.full((rows, slots), np.inf)
    count = np.zeros((rows, slots), dtype=np.intp)
    for day in range(1, SEASON_DAYS + 1):
        for near in _NEIGHBOURS:
            lag = day * per_day - near
            if lag >= slots:
                continue
            earlier = means[:, :-lag]
            np.fmax(highest[:, lag:], earlier, out=highest[:, lag:])
            np.fmin(lowest[:, lag:], earlier, out=lowest[:, lag:])
            count[:, lag:] += ~np.isnan(earlier)
    known = (count >= _LEAST_SEASON) & ~np.isnan(means)
    above = np.max(means - highest, axis=1, initial=0.0, where=known)
    below = np.max(lowest - means, axis=1, initial=0.0, where=known)
    return above, below


def _floor(slots: FloatArray, code: Code) -> FloatArray:
    """[rows]: the smallest range that a series can have."""
    ends = np.stack([_least(slots[:, MINIMUM]), _most(slots[:, MAXIMUM])])
    with np.errstate(over="ignore"):
        largest = np.abs(ends + np.nan_to_num(code.offset / code.scale)).max(axis=0)
    floor: FloatArray = np.maximum(_VARYING_FLOOR * largest, np.finfo(np.float32).tiny)
    return floor


def _points(slots: FloatArray) -> FloatArray:
    """[rows × slots · points]: values that stand for all that the slots summarise, equally likely each."""
    shares = (np.arange(_POINTS) + 0.5) / _POINTS
    above = np.searchsorted(SHARES, shares)
    weight = (shares - SHARES[above - 1]) / (SHARES[above] - SHARES[above - 1])
    knots = slots[:, MINIMUM : MAXIMUM + 1]
    points = knots[:, above - 1] * (1 - weight[:, None]) + knots[:, above] * weight[:, None]
    flat: FloatArray = points.reshape(len(slots), -1)
    return flat


def _rolling(means: SmallArray, length: int) -> FloatArray:
    """[rows × slots]: means over as many slots up to each; NaN where less than half of them have a value."""
    known = ~np.isnan(means)
    total = np.cumsum(np.where(known, means, 0.0), axis=1, dtype=np.float64)
    count = np.cumsum(known, axis=1)
    total[:, length:] -= total[:, :-length].copy()
    count[:, length:] -= count[:, :-length].copy()
    return np.where(2 * count >= length, total / np.maximum(count, 1), np.nan)


def _spread(quarter: FloatArray, tenth: FloatArray, end: FloatArray, floor: FloatArray) -> FloatArray:
    """One standard deviation on one side, as a Gaussian with these quantiles would have it; the largest of what they say."""
    said = [
        quarter / SIGMA_QUARTER,
        tenth / SIGMA_TENTH,
        _END_WEIGHT * end / SIGMA_END,
        3 * floor / (2 * SIGMA_END),
    ]
    spread: FloatArray = np.maximum.reduce(said)
    return spread


def _least(values: FloatArray) -> FloatArray:
    """[rows]: the smallest; NaN where there is none."""
    least = np.fmin.reduce(values, axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, np.nan)


def _most(values: FloatArray) -> FloatArray:
    most = np.fmax.reduce(values, axis=1, initial=-np.inf)
    return np.where(np.isfinite(most), most, np.nan)
