"""Rows of values in ascending order: one sort serves extremes, quantiles, steps and tails."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.series.frame import FloatArray, IntArray

_SHARES = np.array([0.0, 0.005, 0.1, 0.25, 0.5, 0.75, 0.9, 0.995, 1.0])
_MINIMUM, _LOWER, _TENTH, _QUARTER, _MEDIAN, _THREE_QUARTERS, _NINE_TENTHS, _UPPER, _MAXIMUM = range(9)
_SMALLEST = 1e-305
_HEAVIEST = 8.0
"""No tail counts as heavier: some huge values in the history must not make screening blind for the next."""
_UNKNOWN = 4.0
"""What a tail counts as that has only few values: a little heavier than Student's t with 3 degrees of freedom, which has 3.6."""


@dataclass(frozen=True, eq=False)
class Ordered:
    """Rows of values in ascending order, NaN last, and their quantiles; arrays `[rows]` where nothing else is said."""

    values: FloatArray
    """[rows × k]."""
    count: IntArray
    """How many are not NaN."""
    marks: FloatArray
    """[quantiles × rows]: NaN for an empty row."""

    @classmethod
    def of(cls, values: FloatArray, *, whole: bool) -> Self:
        """Sort a copy of `values` along the last axis.

        Args:
            values: `[rows × k]`, k at least 1.
            whole: the caller knows that there is no NaN: positions of quantiles are then the same for all rows.
        """
        ordered = np.sort(values, axis=-1)
        rows, width = ordered.shape
        if whole or not np.isnan(ordered[:, -1]).any():
            return cls(ordered, np.full(rows, width, dtype=np.intp), _marks_of_whole(ordered))
        count = width - np.count_nonzero(np.isnan(ordered), axis=1)
        return cls(ordered, count, _marks_of_counted(ordered, count))

    @property
    def minimum(self) -> FloatArray:
        """The smallest value."""
        return self._mark(_MINIMUM)

    @property
    def maximum(self) -> FloatArray:
        """The largest value."""
        return self._mark(_MAXIMUM)

    @property
    def median(self) -> FloatArray:
        """The value in the middle."""
        return self._mark(_MEDIAN)

    @property
    def lower(self) -> FloatArray:
        """The 0.5 % quantile: the lower end of what is usual."""
        return self._mark(_LOWER)

    @property
    def upper(self) -> FloatArray:
        """The 99.5 % quantile: the upper end of what is usual."""
        return self._mark(_UPPER)

    @property
    def quartiles(self) -> tuple[FloatArray, FloatArray]:
        """The 25 % and the 75 % quantile."""
        return self._mark(_QUARTER), self._mark(_THREE_QUARTERS)

    @property
    def deciles(self) -> tuple[FloatArray, FloatArray]:
        """The 10 % and the 90 % quantile."""
        return self._mark(_TENTH), self._mark(_NINE_TENTHS)

    def heaviness(self) -> FloatArray:
        """[2 × rows]: how much further the middle 99 % reaches than the middle 80 %; for the lower and the upper tail.

        The larger of what both tails together have and what that tail alone has.
        """
        far = np.abs(self.marks[[_LOWER, _UPPER]] - self.median)
        near = np.abs(self.marks[[_TENTH, _NINE_TENTHS]] - self.median)
        return np.maximum(_ratio(far, near), _ratio(far.sum(axis=0), near.sum(axis=0)))

    def step(self) -> FloatArray:
        """The smallest distance between two different values; 0 where there are none."""
        gaps = self.values[:, 1:] - self.values[:, :-1]
        # NaN is not greater than 0 either, so only real steps are left.
        smallest = np.min(gaps, axis=1, initial=np.inf, where=gaps > 0)
        return np.where(np.isfinite(smallest), smallest, 0.0)

    def _mark(self, index: int) -> FloatArray:
        mark: FloatArray = self.marks[index]
        return mark


def medians(values: FloatArray, *, whole: bool) -> FloatArray:
    """[rows]: the middle of the values of each row; NaN where less than half of them are values.

    Args:
        values: `[rows × k]`, k at least 1.
        whole: the caller knows that there is no NaN.
    """
    ordered = np.sort(values, axis=-1)
    width = ordered.shape[1]
    if whole or not np.isnan(ordered[:, -1]).any():
        return (ordered[:, (width - 1) // 2] + ordered[:, width // 2]) / 2
    count = width - np.count_nonzero(np.isnan(ordered), axis=1)
    row, last = np.arange(len(ordered)), np.maximum(count - 1, 0)
    middle = (ordered[row, last // 2] + ordered[row, (last + 1) // 2]) / 2
    return np.where(2 * count >= width, middle, np.nan)


def quantiles(values: FloatArray, shares: FloatArray) -> FloatArray:
    """[shares × rows]: quantiles of the values of each row that are not NaN, type 7; NaN where there are none.

    Args:
        values: `[rows × k]`, k at least 1.
        shares: `[shares]`, 0..1.
    """
    ordered = np.sort(values, axis=-1)
    count = values.shape[1] - np.count_nonzero(np.isnan(ordered), axis=1)
    return _at_shares(ordered, count, shares)


def _marks_of_whole(ordered: FloatArray) -> FloatArray:
    """Linear between order statistics: type 7 of Hyndman & Fan, Sample Quantiles in Statistical Packages (1996)."""
    last = ordered.shape[1] - 1
    positions = last * _SHARES
    below = positions.astype(np.intp)
    low, high = ordered.T[below], ordered.T[np.minimum(below + 1, last)]
    marks: FloatArray = low + (high - low) * (positions - below)[:, None]
    return marks


def _marks_of_counted(ordered: FloatArray, count: IntArray) -> FloatArray:
    """The same with as many values as each row has."""
    return _at_shares(ordered, count, _SHARES)


def _at_shares(ordered: FloatArray, count: IntArray, shares: FloatArray) -> FloatArray:
    """[shares × rows]: type 7 quantiles of the first `count` values of rows in order."""
    last = np.maximum(count - 1, 0)
    positions = shares[:, None] * last
    below = positions.astype(np.intp)
    row = np.arange(len(ordered))
    low, high = ordered[row, below], ordered[row, np.minimum(below + 1, last)]
    marks: FloatArray = low + (high - low) * (positions - below)
    return marks


def _ratio(far: FloatArray, near: FloatArray) -> FloatArray:
    """Far over near, at most 8; a constant has 0; where only few values differ from the rest there is no near to compare."""
    ratio = np.minimum(far, _HEAVIEST * near) / np.maximum(near, _SMALLEST)
    return np.where((near == 0) & (far > 0), _UNKNOWN, ratio)
