"""The last values of all series of one target."""

import math
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.series.exposition import ExpositionReader, Reading
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Series
from exporter.series.ring import Ring

BoolArray = npt.NDArray[np.bool_]

FAR_FUTURE = 600.0
"""Seconds that a sample's own timestamp may lie ahead of us: Prometheus' limit too (maxAheadTime in scrape.go)."""

_SWEEPS = 8
"""Series absent for the whole horizon are dropped this often a horizon, and as soon as they are 1/16 of all."""
_ABSENT_ROWS = 1000
"""Rows that absent series may take in any case; beyond, as many as the most that any kept instant had samples."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one exposition brought."""

    samples: int
    """Samples exposed, the left-out ones included."""
    new_series: int
    duplicates: int
    """Left out: an earlier line of the exposition has the same series."""
    out_of_order: int
    """Left out: their own timestamp is older than the one before."""
    out_of_bounds: int = 0
    """Left out: their own timestamp is older than the horizon, or far in the future."""


class StaleRowsError(LookupError):
    """Row numbers are of a generation that is over: ask for `layout` again."""


class TargetWindow:
    """Series × instants of one target, the instants being its scrapes. For any number of threads.

    Each instant has the time of its scrape, also for samples with a timestamp of their own: those count once, at the
    first scrape that shows them, and are NaN in scrapes that show them again.

    Memory: 8 bytes for each series and instant, at most a quarter more in reserve. Series that are exposed no longer
    stay until the horizon has passed; but of a target that keeps renaming its series, only so many absent ones stay as
    it exposed at its largest (1,000 in any case), those seen last.

    Args:
        target: the scraped address.
        reader: reads this target's expositions and nothing else.
        interval: seconds between scrapes.
        horizon: seconds of values to keep.
    """

    def __init__(self, target: str, reader: ExpositionReader, interval: float, horizon: float) -> None:
        self.target = target
        self.interval = interval
        self.horizon = horizon
        self._reader = reader
        self._ingesting = threading.Lock()
        self._lock = threading.Lock()
        columns = math.ceil(horizon / interval) + 2
        self._ring = Ring(columns)
        self._listed: deque[int] = deque(maxlen=columns)
        self._last_success = -math.inf
        self._since_sweep = 0
        self._generation = 0
        self._series: list[Series] = []
        self._by_row: tuple[Series, ...] | None = ()
        self._place: IntArray = np.empty(0, np.intp)
        self._owner: IntArray = np.empty(0, np.intp)
        self._seen: FloatArray = np.empty(0)
        self._stamp: FloatArray = np.empty(0)

    @property
    def generation(self) -> int:
        """Changes whenever rows are added, removed, moved or described anew."""
        return self._generation

    @property
    def series(self) -> tuple[Series, ...]:
        """[rows]; the same object while the generation is the same."""
        return self.layout()[1]

    @property
    def nbytes(self) -> int:
        """Bytes that values and what is kept for each row take."""
        with self._lock:
            arrays = (self._place, self._owner, self._seen, self._stamp)
            return self._ring.nbytes + sum(array.nbytes for array in arrays)

    def layout(self) -> tuple[int, tuple[Series, ...]]:
        """The generation and its series [rows], belonging together."""
        with self._lock:
            if self._by_row is None:
                self._by_row = tuple(self._series)
            return self._generation, self._by_row

    def raw(
        self, rows: IntArray, span: float, *, lead: int = 0, generation: int | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Times [instants] and a copy of the values [rows × instants], the oldest first.

        Args:
            rows: which rows, in which order.
            span: how many seconds back from the newest instant, never more than the horizon.
            lead: how many instants more, before those, as far as there are any.
            generation: the one that the row numbers are of; None where nothing else touches the window.

        Raises:
            StaleRowsError: the generation has changed since.
        """
        with self._lock:
            if generation is not None and generation != self._generation:
                raise StaleRowsError(f"rows of generation {generation}, the window is at {self._generation}")
            return self._ring.read(rows, self._ring.newest - min(span, self.horizon), lead)

    def ingest(self, body: bytes, content_type: str, at: float) -> Ingested:
        """Read an exposition scraped at a moment (Unix seconds) and append its values.

        A moment less than one interval before the last one counts as the last one, whose values are replaced.

        Raises:
            BadDataError: the exposition is broken; reader and window are as before.
        """
        with self._ingesting:
            reading = self._reader.read(body, content_type)
            with self._lock:
                return self._append(reading, at)

    def miss(self, at: float) -> None:
        """Record a scrape that failed: an instant without values. An instant that has some keeps them."""
        with self._ingesting, self._lock:
            if self._begin(at):
                self._drop(self._sweep())

    def _append(self, reading: Reading, at: float) -> Ingested:
        self._begin(at)
        new = self._adopt(reading.fresh)
        rows = self._place[reading.rows]
        values, out_of_order, out_of_bounds = self._timely(reading, rows, at)
        column = np.full(len(self._ring), np.nan)
        column[rows] = values
        self._ring.put(column)
        self._listed[-1] = len(rows)
        self._seen[rows] = self._last_success = self._ring.newest
        self._drop(self._sweep() | self._crowded())
        return Ingested(len(rows) + reading.duplicates, new, reading.duplicates, out_of_order, out_of_bounds)

    def _begin(self, at: float) -> bool:
        """Start an instant; False where the moment counts as the instant that is there already.

        A clock set back by an interval or more moves the stored times along, as if this scrape had been on time.
        """
        elapsed = at - self._ring.newest
        if -self.interval < elapsed <= 0:
            return False
        if elapsed < 0:
            jump = elapsed - self.interval
            self._ring.shift(jump)
            self._seen += jump
            self._stamp += jump
            self._last_success += jump
        self._ring.advance(at)
        self._listed.append(0)
        self._since_sweep += 1
        return True

    def _adopt(self, fresh: IntArray) -> int:
        """Give new series their rows and replace changed descriptions; returns how many are new."""
        if not len(fresh):
            return 0
        if fresh[-1] >= len(self._place):
            more = int(fresh[-1]) + 1 - len(self._place)
            self._place = np.concatenate((self._place, np.full(more, -1, np.intp)))
        known = fresh[self._place[fresh] >= 0]
        new = fresh[self._place[fresh] < 0]
        for owner in known.tolist():
            self._series[self._place[owner]] = self._reader.series(owner)
        self._place[new] = np.arange(len(self._series), len(self._series) + len(new))
        self._series.extend(map(self._reader.series, new.tolist()))
        self._owner = np.concatenate((self._owner, new))
        self._seen = np.concatenate((self._seen, np.full(len(new), -np.inf)))
        self._stamp = np.concatenate((self._stamp, np.full(len(new), -np.inf)))
        self._ring.add(len(new))
        self._changed()
        return len(new)

    def _timely(self, reading: Reading, rows: IntArray, at: float) -> tuple[FloatArray, int, int]:
        """Values with NaN where a sample's own timestamp forbids it, and how many were out of order and of bounds."""
        stamps = reading.timestamps
        if stamps is None:
            return reading.values, 0, 0
        # A remembered time that is far in the future now is from before a clock was set back.
        last = np.where(self._stamp[rows] > at + FAR_FUTURE, -np.inf, self._stamp[rows])
        beyond = (stamps > at + FAR_FUTURE) | (stamps < at - self.horizon)
        late = ~beyond & (stamps < last)
        again = ~beyond & (stamps == last)
        taken = ~(beyond | late | np.isnan(stamps))
        self._stamp[rows[taken]] = stamps[taken]
        values = np.where(again, self._ring.newest_values[rows], reading.values)
        values[beyond | late] = np.nan
        return values, int(np.count_nonzero(late)), int(np.count_nonzero(beyond))

    def _sweep(self) -> BoolArray:
        """[rows]: absent for the whole horizon; all False while it is not time yet to drop them."""
        oldest = max(self._ring.oldest, self._ring.newest - self.horizon)
        expired = self._seen < oldest
        worth = np.count_nonzero(expired) * 2 * _SWEEPS >= len(expired)
        if worth or self._since_sweep * _SWEEPS >= self._ring.columns:
            self._since_sweep = 0
            return expired
        return np.zeros_like(expired)

    def _crowded(self) -> BoolArray:
        """[rows]: absent, and more than there is room for; those not seen for the longest time."""
        absent = np.flatnonzero(self._seen < self._last_success)
        excess = len(absent) - max(_ABSENT_ROWS, *self._listed)
        crowded = np.zeros(len(self._seen), np.bool_)
        if excess > 0:
            crowded[absent[np.argpartition(self._seen[absent], excess - 1)[:excess]]] = True
        return crowded

    def _drop(self, gone: BoolArray) -> None:
        """Forget rows. The last rows move into their places."""
        if not gone.any():
            return
        released = self._owner[gone]
        source, target = self._ring.remove(gone)
        left = len(self._ring)
        for old, new in zip(source.tolist(), target.tolist(), strict=True):
            self._series[new] = self._series[old]
        del self._series[left:]
        self._owner, self._seen, self._stamp = (
            _moved(array, source, target, left) for array in (self._owner, self._seen, self._stamp)
        )
        self._place[released] = -1
        self._place[self._owner[target]] = target
        self._reader.release(released.tolist())
        self._changed()

    def _changed(self) -> None:
        self._generation += 1
        self._by_row = None


def _moved(array: npt.NDArray[Any], source: IntArray, target: IntArray, left: int) -> npt.NDArray[Any]:
    array[target] = array[source]
    return array[:left].copy()
