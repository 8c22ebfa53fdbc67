"""The memory of a window: one matrix of series × instants whose columns are overwritten in turn."""

import numpy as np
import numpy.typing as npt

from exporter.series.frame import FloatArray, IntArray

_SLACK = 8
"""A matrix is made larger than needed by 1/_SLACK, and made smaller when twice that is unused."""


class Ring:
    """Rows are series, columns are instants. Not safe for several threads.

    Args:
        columns: how many instants are kept.
    """

    def __init__(self, columns: int) -> None:
        self._matrix: FloatArray = np.empty((0, columns))
        self._times: FloatArray = np.full(columns, np.nan)
        self._newest = -1
        self._count = 0
        self._used = 0

    def __len__(self) -> int:
        """How many rows there are."""
        return self._used

    @property
    def nbytes(self) -> int:
        """Bytes of memory, those in reserve included."""
        return self._matrix.nbytes + self._times.nbytes

    @property
    def columns(self) -> int:
        """How many instants are kept."""
        return len(self._times)

    @property
    def oldest(self) -> float:
        """The time of the first instant that is kept; NaN before there is one."""
        return float(self._times[self._order()[0]]) if self._count else np.nan

    @property
    def newest(self) -> float:
        """The time of the last instant; NaN before the first."""
        return float(self._times[self._newest]) if self._count else np.nan

    @property
    def newest_values(self) -> FloatArray:
        """[rows]: a copy of the last instant's values."""
        return self._matrix[: self._used, self._newest].copy()

    def advance(self, at: float) -> None:
        """Begin a new instant, with no values yet, in place of the oldest."""
        self._newest = (self._newest + 1) % len(self._times)
        self._count = min(self._count + 1, len(self._times))
        self._times[self._newest] = at
        self._matrix[: self._used, self._newest] = np.nan

    def put(self, values: FloatArray) -> None:
        """Write the last instant: values [rows]."""
        self._matrix[: self._used, self._newest] = values

    def shift(self, seconds: float) -> None:
        """Move all instants in time."""
        self._times += seconds

    def add(self, count: int) -> None:
        """Append rows without values."""
        needed = self._used + count
        if needed > len(self._matrix):
            first = not self._used
            self._resize(needed if first else needed + needed // _SLACK)
        self._matrix[self._used : needed] = np.nan
        self._used = needed

    def remove(self, gone: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        """Remove rows by moving the last ones into their places, which costs no more than what is removed.

        Args:
            gone: [rows].

        Returns:
            Rows moved from, rows moved to; afterwards there are as many rows as stay.
        """
        left = self._used - int(np.count_nonzero(gone))
        target = np.flatnonzero(gone[:left])
        source = left + np.flatnonzero(~gone[left:])
        self._matrix[target] = self._matrix[source]
        self._used = left
        if len(self._matrix) > left + 2 * left // _SLACK:
            self._resize(left + left // _SLACK)
        return source, target

    def read(self, rows: IntArray, since: float, lead: int) -> tuple[FloatArray, FloatArray]:
        """Times [instants] and a copy of the values [rows × instants] from a moment on.

        Args:
            rows: which rows, in which order.
            since: Unix seconds.
            lead: how many instants more, before that moment.
        """
        order = self._order()
        start = max(0, int(np.searchsorted(self._times[order], since)) - lead)
        order = order[start:]
        if not len(order):
            return np.empty(0), np.empty((len(rows), 0))
        if order[0] <= order[-1]:
            values = self._matrix[rows, order[0] : order[-1] + 1]
        else:
            values = np.concatenate((self._matrix[rows, order[0] :], self._matrix[rows, : order[-1] + 1]), axis=1)
        return self._times[order], values

    def _order(self) -> IntArray:
        return (self._newest + 1 - self._count + np.arange(self._count)) % len(self._times)

    def _resize(self, capacity: int) -> None:
        matrix = np.empty((capacity, len(self._times)))
        matrix[: self._used] = self._matrix[: self._used]
        self._matrix = matrix
