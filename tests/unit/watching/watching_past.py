"""Targets with a past: series that are the same however and whenever they are asked for."""

import zlib

import numpy as np

from exporter.clock import ManualClock
from exporter.config.model import Watch
from exporter.errors import TransientError
from exporter.series.frame import Frame
from exporter.series.labels import Series
from exporter.watching.tables import members_of
from exporter.watching.trackers import Trackers

HOUR = 3600.0
DAY = 24 * HOUR
NOW = 1_700_000_000.0 // DAY * DAY + 12.5 * HOUR
"""Half past noon: what days say about all series is worked out by then."""


def watch_of(**changes) -> Watch:
    defaults = {
        "name": "w",
        "source": "s",
        "select": [{"query": "x", "name": "x"}, {"query": "y", "name": "y"}],
        "interval": "5m",
        "window": "1h",
        "history": "2d",
    }
    return Watch.model_validate({**defaults, **changes})


class Plant:
    """What a target does, second by second: noise around a level, and oddities at times that a test chooses.

    Attributes:
        born: Unix seconds before which there are no values.
        events: (begin, end, height) in Unix seconds: added to the first series in between.
    """

    def __init__(self, *, series: int = 2, step: float = 60.0, target: str = "t") -> None:
        self.target = target
        self.step = step
        self.born = -np.inf
        self.events: list[tuple[float, float, float]] = []
        self.series = tuple(Series("xy"[row % 2], (("row", str(row)),)) for row in range(series))
        self.select = np.array([row % 2 for row in range(series)], dtype=np.intp)
        self.asked: list[tuple[float, float, float]] = []
        self.failures: list[Exception | None] = []

    def frame(self, end: float, span: float, step: float | None = None) -> Frame:
        """The instants of the last `span` seconds up to `end`, multiples of the step."""
        step = step or self.step
        last = end // step
        times = step * np.arange(last - max(1, span // step) + 1, last + 1)
        values = np.stack([self._values(row, times) for row in range(len(self.series))])
        for begin, until, height in self.events:
            values[0] += np.where((times >= begin) & (times < until), height, 0.0)
        return Frame(self.target, self.series, self.select, times, values, step)

    def _values(self, row: int, times: np.ndarray) -> np.ndarray:
        seeds = (times.astype(np.int64) * 2654435761 + zlib.crc32(str(row).encode())) % 2**32
        noise = (seeds * 40503 % 2**32) / 2**32
        return np.where(times < self.born, np.nan, 10.0 + row + noise)

    def past(self, begin: float, end: float, step: float) -> Frame:
        """The feed of the past; fails as often as `failures` says."""
        self.asked.append((begin, end, step))
        error = self.failures.pop(0) if self.failures else None
        if error is not None:
            raise error
        frame = self.frame(end, end - begin, step)
        if np.isnan(frame.values).all():
            return Frame(self.target, (), np.empty(0, np.intp), frame.times, np.empty((0, len(frame.times))), step)
        return Frame(self.target, tuple(self.series), self.select, frame.times, frame.values, step)


class Shelf:
    """A keeper in memory."""

    def __init__(self) -> None:
        self.kept = {}
        self.groups = None
        self.saves = 0
        self.full = False

    def load(self, target):
        return self.kept.get(target)

    def save(self, target, remembered):
        if self.full:
            raise TransientError("disk full")
        self.saves += 1
        self.kept[target] = remembered

    def load_groups(self):
        return self.groups

    def save_groups(self, remembered):
        self.groups = remembered


class Life:
    """Trackers that live through time."""

    def __init__(self, plant: Plant, *, keeper=None, past=None, at: float = NOW, **watch) -> None:
        self.watch = watch_of(**watch)
        self.clock = ManualClock(at)
        self.plant = plant
        self.trackers = Trackers(self.watch, self.clock, keeper, past)

    def tick(self, plant: Plant | None = None) -> dict[str, float]:
        """Screen now; the scores by name."""
        frame = (plant or self.plant).frame(self.clock.now(), self.watch.window)
        result = self.trackers.judge(frame, members_of(frame, self.watch))
        return {str(series): float(score) for series, score in zip(frame.series, result.score, strict=True)}

    def live(self, seconds: float) -> dict[str, float]:
        """Screen each interval for so long; the last scores."""
        until = self.clock.now() + seconds
        scores = self.tick()
        while self.clock.now() + self.watch.interval <= until:
            self.clock.advance(self.watch.interval)
            scores = self.tick()
        return scores

    def words(self) -> str:
        return self.trackers.words([self.plant.target])

    def archive(self, target: str | None = None):
        """What is remembered."""
        return self.trackers._followed[target or self.plant.target].tracker.history.archive
