"""Frames, calm series of several kinds, and short ways to screen them and to follow them over days."""

from dataclasses import dataclass

import numpy as np

from exporter.config.model import Selection
from exporter.screening.baseline import Settings, baseline_of
from exporter.screening.expected import HOURS, Expected
from exporter.screening.history import DAY, History
from exporter.screening.past import Past
from exporter.screening.policy import policy_of
from exporter.screening.result import KINDS, ScreenResult
from exporter.screening.screen import screen
from exporter.screening.slots import Code
from exporter.screening.tails import log_boundary
from exporter.screening.tracking import Tracker
from exporter.series.frame import Frame
from exporter.series.labels import Series

INTERVAL = 15.0
INSTANTS = 240
HOUR = 3600.0
MIDNIGHT = 19_675 * DAY
"""Of Tuesday, 14 November 2023, UTC."""
LENGTHS = 1 + len(HOURS)
"""Of what is known by length: single values, and the means of hours."""


def frame_of(values, series=None, interval=INTERVAL, times=None):
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    rows, instants = values.shape
    return Frame(
        target="127.0.0.1:9100",
        series=(Series("load", ()),) * rows if series is None else tuple(series),
        select=np.zeros(rows, dtype=np.intp),
        times=1.7e9 + interval * np.arange(instants) if times is None else np.asarray(times, dtype=np.float64),
        values=values,
        interval=interval,
    )


def screened(values, unit="", interval=INTERVAL, times=None, settings=None, **selection):
    """The result of screening a matrix, all rows under one `select` entry."""
    rows = len(np.atleast_2d(values))
    frame = frame_of(values, [Series("load", (), unit=unit)] * rows, interval, times)
    return screen(frame, policy_of([Selection(series="load", **selection)], frame.select), settings)


def kinds(result):
    return [KINDS[code] if code >= 0 else None for code in result.kind.tolist()]


def noise(rows=1, instants=INSTANTS, seed=1, middle=100.0, spread=5.0):
    return np.random.default_rng(seed).normal(middle, spread, size=(rows, instants))


def autoregressive(rows, instants, memory, seed):
    pushes = np.random.default_rng(seed).normal(size=(rows, instants)) * np.sqrt(1 - memory**2)
    values = np.empty((rows, instants))
    values[:, 0] = pushes[:, 0] / np.sqrt(1 - memory**2)
    for instant in range(1, instants):
        values[:, instant] = memory * values[:, instant - 1] + pushes[:, instant]
    return values


def names(count):
    """As many different series."""
    return tuple(Series("load", (("instance", str(number)),)) for number in range(count))


@dataclass(frozen=True, eq=False)
class Followed:
    """What a tracker said, tick by tick."""

    results: list[ScreenResult]
    tracker: Tracker

    @property
    def score(self):
        """[rows × ticks]."""
        return np.array([result.score for result in self.results]).T

    @property
    def alarm(self):
        """[rows × ticks]: whether an episode goes on."""
        return self.score >= 0.5

    @property
    def kind(self):
        """[rows × ticks]: names, None for none."""
        return [list(row) for row in zip(*(kinds(result) for result in self.results), strict=True)]

    def onsets(self, row=0):
        """The ticks at which episodes began."""
        alarm = self.alarm[row]
        return np.flatnonzero(alarm & ~np.concatenate([[False], alarm[:-1]])).tolist()


def followed(values, *, interval=HOUR, times=None, history=14 * DAY, settle=DAY, window=24, judged=1, **selection):
    """Screen a matrix instant by instant, as a watch does: each tick sees the newest `window` instants."""
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    rows, instants = values.shape
    series, select = names(rows), np.zeros(rows, dtype=np.intp)
    policy = policy_of([Selection(series="load", **selection)], select)
    times = MIDNIGHT + interval * np.arange(instants) if times is None else np.asarray(times, dtype=np.float64)
    tracker = Tracker(History(interval, history), settle=settle, interval=interval)
    results = []
    for end in range(1, instants + 1):
        seen = slice(max(0, end - window), end)
        frame = Frame("127.0.0.1:9100", series, select, times[seen], values[:, seen], interval)
        results.append(tracker.judge(frame, policy, Settings(judged=judged)))
    return Followed(results, tracker)


def past_of(rows=1, *, offset=0.0, scale=1.0, hours=24 * 14, means=None, season=(np.nan, np.nan), **known):
    """What a history of so many hours says: by default that nothing was ever below 0 or above 10.

    Args:
        rows: as many series, all alike.
        offset: of the code; all else is in it.
        scale: of the code.
        hours: that taught it.
        means: of the last 1 and 6 hours; 5 where nothing is said.
        season: the band of this time of the day.
        known: fields of `Expected`.
    """
    fields = {
        "count": float(hours),
        "low": [0.0] * LENGTHS,
        "high": [10.0] * LENGTHS,
        "unit": [10.0] * LENGTHS,
        "median": 5.0,
        "up": 2.0,
        "down": 2.0,
        "hour_range": 3.0,
        "hour_range_up": 1.0,
        "season_unit": np.nan,
        "season_above": np.nan,
        "season_below": np.nan,
        "record": 0.0,
        **known,
    }
    expected = {
        name: np.repeat(np.atleast_1d(np.asarray(value, dtype=np.float64))[..., None], rows, axis=-1)
        for name, value in fields.items()
    }
    return Past(
        expected=Expected(**{name: value if value.shape[0] > 1 else value[0] for name, value in expected.items()}),
        code=Code(np.full(rows, float(offset)), np.full(rows, float(scale))),
        means=np.repeat(
            np.array([5.0] * len(HOURS) if means is None else means, dtype=np.float64)[:, None], rows, axis=1
        ),
        season_low=np.full(rows, float(season[0])),
        season_high=np.full(rows, float(season[1])),
        days=np.full(rows, hours / 24.0),
        slot_hours=1.0,
    )


def baseline_with(past, newest, *, judged=1, **selection):
    """A baseline whose window stands at 5 and whose newest values are these, with what is remembered."""
    newest = np.atleast_2d(np.asarray(newest, dtype=np.float64))
    values = np.concatenate([np.full((len(newest), 60), 5.0), newest], axis=1)
    times = MIDNIGHT + 300.0 * np.arange(values.shape[1])
    policy = policy_of([Selection(series="load", **selection)], np.zeros(len(newest), dtype=np.intp))
    return baseline_of(
        values, times, policy, Settings(judged=judged), remembered=past, boundary=log_boundary(300.0, 30.0)
    )
