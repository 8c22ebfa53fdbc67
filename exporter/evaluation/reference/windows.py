"""Windows of the past, given as a time, over instants that need not be evenly spaced."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Windows:
    """One window an instant: the instants `starts[t]` up to but not including `ends[t]`. Neither ever goes back."""

    starts: IntArray
    """[instants]."""
    ends: IntArray
    """[instants]: never beyond the instant itself."""

    def counts(self, flags: BoolArray) -> IntArray:
        """[series × instants]: how many of the flags `[series × instants]` are true in each window."""
        before = np.zeros((flags.shape[0], flags.shape[1] + 1), dtype=np.intp)
        np.cumsum(flags, axis=1, out=before[:, 1:])
        found: IntArray = before[:, self.ends] - before[:, self.starts]
        return found


def before(times: FloatArray, seconds: float, *, at_least: int, at_most: int) -> Windows:
    """What lies before each instant and is at most `seconds` old; the instant itself is left out.

    Args:
        times: `[instants]`, Unix seconds, increasing.
        seconds: how far back a window reaches.
        at_least: instants that a window holds, as far as there are any, even if they are older.
        at_most: instants that a window holds, even if more are young enough: the newest.
    """
    ends = np.arange(times.size, dtype=np.intp)
    starts = np.searchsorted(times, times - seconds, side="left")
    starts = np.minimum(starts, np.maximum(ends - at_least, 0))
    return Windows(np.maximum(starts, ends - at_most), ends)


def ranges(times: FloatArray, seconds: float) -> Windows:
    """Windows as PromQL's range selectors have them: younger than `seconds`, the instant itself included."""
    ends = np.arange(1, times.size + 1, dtype=np.intp)
    return Windows(np.searchsorted(times, times - seconds, side="right"), ends)


def lagged(values: FloatArray, windows: Windows) -> Iterator[tuple[FloatArray, BoolArray]]:
    """The values inside windows that include their instant: first the newest of each, then the one before it, and so on.

    Yields:
        `[series × instants]` values, and `[instants]` whether they still lie inside the window.
    """
    instant = windows.ends - 1
    for lag in range(int((windows.ends - windows.starts).max(initial=0))):
        at = instant - lag
        yield values[:, np.maximum(at, 0)], at >= windows.starts


def ordered_windows(row: FloatArray, windows: Windows) -> Iterator[list[float]]:
    """The values of each window of one series in ascending order, NaN left out.

    It is the same list each time, changed in between: one value in, one out, which is faster than to sort anew.

    Args:
        row: `[instants]`.
        windows: as many.
    """
    numbers, known = row.tolist(), (~np.isnan(row)).tolist()
    ordered: list[float] = []
    first = last = 0
    for start, end in zip(windows.starts.tolist(), windows.ends.tolist(), strict=True):
        for at in range(last, end):
            if known[at]:
                insort(ordered, numbers[at])
        for at in range(first, start):
            if known[at]:
                del ordered[bisect_left(ordered, numbers[at])]
        first, last = start, end
        yield ordered


def middle(ordered: list[float]) -> float:
    """The median of values in ascending order, of which there is at least one."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def medians(values: FloatArray, windows: Windows) -> FloatArray:
    """[series × instants]: the median of each window; NaN where it holds no value."""
    rows = [[middle(ordered) if ordered else np.nan for ordered in ordered_windows(row, windows)] for row in values]
    return np.array(rows, dtype=np.float64).reshape(values.shape)
