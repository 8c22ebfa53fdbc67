"""Hourly summaries of series: what is kept of days that no window reaches back to.

A slot is an hour of the clock (an interval, where that is longer). Of each series' values in it stay eight numbers, and
five that screening adds. They are kept as 4-byte multiples of a scale around an offset, both the series' own: a
timestamp of 1.7e9 s keeps its seconds, a value of 1e300 or 1e-300 its digits.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from exporter.screening.ordered import quantiles
from exporter.series.frame import FloatArray

SmallArray = npt.NDArray[np.float32]

MINIMUM, LOWER, TENTH, MEDIAN, NINE_TENTHS, UPPER, MAXIMUM, MEAN = range(8)
MEAN_LOW, MEAN_HIGH, LONG_LOW, LONG_HIGH, SURPRISE = range(8, 13)
FIELDS = 13
"""Of each slot: minimum, 0.5, 10, 50, 90 and 99.5 % quantiles, maximum, mean; the lowest and the highest mean of an hour
that ended in it, likewise of the 6 hours (see `expected.HOURS`); and the greatest surprise of the detectors that look at the window alone."""
SHARES = np.array([0.0, 0.005, 0.1, 0.5, 0.9, 0.995, 1.0])
"""Of the first seven fields."""

SLOT_SECONDS = 3600.0
_FARTHEST = 1e30
_LEAST_SCALE = 1e-3
"""Of the offset: the scale of a series that stood still while its scale was chosen."""


def slot_seconds(interval: float) -> float:
    """How long a slot of series with this interval is, in seconds."""
    return max(SLOT_SECONDS, interval)


def summary_of(values: FloatArray) -> FloatArray:
    """[8 × rows]: the fields from MINIMUM to MEAN of the values of one slot; NaN for rows without any.

    Args:
        values: `[rows × instants]`; not empty.
    """
    count = np.count_nonzero(~np.isnan(values), axis=1)
    total = np.nansum(values, axis=1)
    mean = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return np.concatenate([quantiles(values, SHARES), mean[None, :]])


@dataclass(frozen=True, eq=False)
class Code:
    """How values are written into slots: `(value - offset) / scale`."""

    offset: FloatArray
    """[rows]: NaN until the first values came."""
    scale: FloatArray
    """[rows]: positive."""

    @classmethod
    def empty(cls, rows: int) -> Self:
        """For series of which nothing is known."""
        return cls(np.full(rows, np.nan), np.ones(rows))

    def learned(self, summary: FloatArray) -> Self:
        """With an offset and a scale for the rows that have their first values.

        The scale is that of most values, not of the few farthest: one huge value must not make all others the same.

        Args:
            summary: `[8 × rows]`, as `summary_of` gives it.
        """
        new = np.isnan(self.offset) & ~np.isnan(summary[MEDIAN])
        if not new.any():
            return self
        with np.errstate(over="ignore"):
            most, all_of_it = summary[NINE_TENTHS] - summary[TENTH], summary[MAXIMUM] - summary[MINIMUM]
        standing = _LEAST_SCALE * np.abs(summary[MEDIAN])
        scale = np.select([most > 0, standing > 0, all_of_it > 0], [most, standing, np.minimum(all_of_it, 1.0)], 1.0)
        return type(self)(
            offset=np.where(new, summary[MEDIAN], self.offset),
            scale=np.where(new, np.minimum(scale, np.finfo(np.float64).max), self.scale),
        )

    def write(self, values: FloatArray) -> FloatArray:
        """[… × rows] in this code."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.clip((values - self.offset) / self.scale, -_FARTHEST, _FARTHEST)

    def read(self, written: FloatArray) -> FloatArray:
        """[… × rows] as the source gave it."""
        with np.errstate(over="ignore"):
            return written * self.scale + self.offset

    def rows(self, which: slice | npt.NDArray[np.intp]) -> Self:
        """The code of some of the series."""
        return type(self)(self.offset[which], self.scale[which])
