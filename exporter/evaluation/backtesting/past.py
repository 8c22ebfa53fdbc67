"""A source as it was: at each moment of a replay, the window that a query would have brought then."""

import logging
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from exporter.config.model import Watch
from exporter.errors import LmwatchError, TransientError
from exporter.logs import fields
from exporter.screening.policy import BoolArray
from exporter.series.frame import Frame, IntArray
from exporter.series.labels import Series
from exporter.watching.feed import Fed, PastFeed

logger = logging.getLogger(__name__)

_CHUNK_SAMPLES: Final = 2_000_000
"""About as many samples are held at once: 16 MB, and 60 MB while the JSON is read."""
_LONGEST_CHUNK_SECONDS: Final = 86400.0
_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 2.0
"""After a failure on the way; doubled after each further one."""


class ReplayFeed:
    """Windows as views of chunks, which are asked for as the moment that is looked at passes over them.

    Args:
        watch: whose windows they are.
        queries: asks the source for the watch's queries.
        step: seconds between the instants of a window, as the source has it.
        end: Unix seconds; nothing later is asked for.
        pause: waits for so many seconds.

    Attributes:
        samples: how many values came.
    """

    def __init__(
        self, watch: Watch, queries: PastFeed, step: float, end: float, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.samples = 0
        self._name = watch.name
        self._queries = queries
        self._step = step
        self._end = end
        self._pause = pause
        self._window = watch.window
        self._count = max(1, int(round(watch.window * 1000) // round(step * 1000)))
        self._chunk: Frame | None = None
        self._chunk_end = -np.inf
        self._seconds = watch.window
        """How much the next chunk brings beyond the window it begins with; little while nobody knows how many series come."""
        self._shape: tuple[bytes, tuple[Series, ...], IntArray] = (b"", (), np.empty(0, np.intp))

    def take(self, at: float) -> Fed:
        """The window up to this moment (Unix seconds); moments never go back.

        Raises:
            LmwatchError: the source did not deliver it, at the first attempt or at several on the way.
        """
        if self._chunk is None or at > self._chunk_end:
            self._chunk = self._fetch(at)
            self._shape = (b"", self._shape[1], self._shape[2])
        frame = self._window_of(self._chunk, at)
        return Fed((frame,) if frame.series else (), ())

    def _fetch(self, at: float) -> Frame:
        first, pause = self._chunk is None, _FIRST_PAUSE_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            self._chunk_end = max(at, min(self._end, at + self._seconds))
            try:
                frame = self._queries.past(at - self._window - self._step, self._chunk_end, self._step)
            except TransientError as error:
                if first or attempt == _ATTEMPTS:
                    raise
                extra = fields(watch=self._name, attempt=attempt, error=str(error))
                logger.warning("the source did not deliver a stretch of its past; it is asked for less", extra=extra)
                self._seconds = max(self._step, self._seconds / 2)
                self._pause(pause)
                pause *= 2
            else:
                self.samples += int(np.isfinite(frame.values).sum())
                whole = _CHUNK_SAMPLES * self._step / max(1, len(frame.series))
                self._seconds = max(self._window, min(whole, _LONGEST_CHUNK_SECONDS))
                return frame
        raise AssertionError("the last attempt returns or raises")

    def _window_of(self, chunk: Frame, at: float) -> Frame:
        """The part of a chunk that a query at this moment brings: the series without a value in it are not there."""
        end = int(np.searchsorted(chunk.times, at + self._step * 1e-6, side="right"))
        span = slice(max(0, end - self._count), end)
        values = chunk.values[:, span]
        there: BoolArray = np.any(np.isfinite(values), axis=1, keepdims=True)[:, 0]
        series, select = self._rows(chunk, there)
        if not there.all():
            values = values[there]
        return Frame(chunk.target, series, select, chunk.times[span], values, chunk.interval)

    def _rows(self, chunk: Frame, there: BoolArray) -> tuple[tuple[Series, ...], IntArray]:
        """The series that are there; the same object as long as they are the same."""
        mask = there.tobytes()
        if mask != self._shape[0]:
            series = tuple(chunk.series[row] for row in np.flatnonzero(there).tolist())
            known = self._shape[1]
            self._shape = (mask, known if known == series else series, chunk.select[there])
        return self._shape[1], self._shape[2]


class WarmUp:
    """The past before a replay, from which baselines are filled: none of it is older than the warm-up is long.

    Args:
        queries: asks the source for the watch's queries.
        begin: Unix seconds.
        tell: is told of seconds of the past that came.
    """

    def __init__(self, queries: PastFeed, begin: float, tell: Callable[[float], None]) -> None:
        self._error: LmwatchError | None = None
        self._queries = queries
        self._begin = begin
        self._reached = begin
        self._tell = tell

    def past(self, begin: float, end: float, step: float) -> Frame:
        """What the source has of a stretch of the past, as far as that belongs to the warm-up.

        Raises:
            LmwatchError: the source did not deliver it.
        """
        if end <= self._begin:
            return Frame("", (), np.empty(0, np.intp), np.empty(0), np.empty((0, 0)), step)
        try:
            frame = self._queries.past(max(begin, self._begin), end, step)
        except LmwatchError as error:
            self._error = error
            raise
        self._tell(max(0.0, end - self._reached))
        self._reached = max(self._reached, end)
        return frame

    def failure(self) -> LmwatchError | None:
        """Why the last request was not answered; None where it was, or was told before."""
        error, self._error = self._error, None
        return error
