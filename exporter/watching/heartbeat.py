"""The heartbeat: synthetic series with a planted anomaly, and whether screen and model are right about them.

One beat is 20 steps long. Nearly all of it is calm; in two steps near its end one of two series is ten times as high as it ever is.
Everything repeats exactly, so what is true of one beat is true of all. A screen or a model that calls everything anomalous
is as wrong as one that calls nothing so: the other series has to be calm, and so has the calm part of the beat.
"""

import threading
from dataclasses import replace

import numpy as np

from exporter.board import HeartbeatState, WatchPicture
from exporter.config.durations import format_duration
from exporter.config.model import Watch
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD
from exporter.series.frame import FloatArray, Frame
from exporter.series.labels import Series
from exporter.watching.feed import Fed

STEPS = 20
"""In a beat: an episode is over after 12 calm ones, and enough are left to see that it is."""
PLANTED_STEPS = (17, 18)
"""Two, so that one is seen although a step may be left out."""
CALM_STEPS = range(13, 17)
"""Those at which nothing may be anomalous any more."""
_WINDOW_STEPS = 16
"""Shorter than from one planted anomaly to the next: a window never holds two."""
_COOLDOWN = 0.75
"""Of a beat: longer than the episode, so that it is asked about once."""
_TARGET = "built in"
_PLANTED, _CALM = (
    Series("heartbeat_latency_seconds", (), "gauge", "Time that a request takes.", "seconds"),
    Series("heartbeat_connections", (), "gauge", "Open connections."),
)
# Fixed noise, so that no beat is an accident; the values have no meaning beside being irregular.
_LATENCY: FloatArray = 0.2 + 0.001 * np.array(
    [3, -7, 5, 0, -4, 8, -2, 6, -9, 1, 4, -6, 7, -1, -5, 9, -3, 2, -8, 5], float
)
_CONNECTIONS: FloatArray = np.array(
    [12, 11, 13, 12, 10, 12, 14, 11, 12, 13, 11, 12, 13, 10, 12, 11, 14, 12, 13, 11], float
)
_PLANTED_FACTOR = 10.0


def heartbeat_watch(interval: float) -> Watch:
    """The watch over the synthetic series: one question to a model each beat, as small as it can be.

    Args:
        interval: seconds of a beat, at least 60.
    """
    return Watch.model_validate(
        {
            "name": HEARTBEAT_WATCH,
            "source": HEARTBEAT_WATCH,
            "select": [_PLANTED.name, _CALM.name],
            "window": format_duration(interval),
            "interval": format_duration(interval / STEPS),
            "history": 0,
            "reason": {
                "when": "suspicious",
                "every": 0,
                "cooldown": format_duration(interval * _COOLDOWN),
                "max_series": 2,
                "image": "off",
            },
        }
    )


class HeartbeatFeed:
    """The synthetic series. What a moment shows depends on nothing but the moment.

    Args:
        interval: seconds of a beat.
        began: Unix seconds at which the first beat begins.
    """

    def __init__(self, interval: float, began: float) -> None:
        self._step = interval / STEPS
        self._began = began

    def step_at(self, at: float) -> int:
        """The step of its beat that a moment (Unix seconds) lies in, 0 to 19."""
        return self._number(at) % STEPS

    def take(self, at: float) -> Fed:
        """The frame of this moment."""
        numbers = self._number(at) - np.arange(_WINDOW_STEPS - 1, -1, -1)
        steps = numbers % STEPS
        planted = np.where(np.isin(steps, PLANTED_STEPS), _PLANTED_FACTOR, 1.0)
        frame = Frame(
            target=_TARGET,
            series=(_PLANTED, _CALM),
            select=np.arange(2, dtype=np.intp),
            times=(self._began + self._step * numbers).astype(np.float64),
            values=np.stack([_LATENCY[steps] * planted, _CONNECTIONS[steps]]),
            interval=self._step,
        )
        return Fed((frame,), ())

    def _number(self, at: float) -> int:
        return int((at - self._began) // self._step)


class Pulse:
    """Whether the beats come out right. Every method may be called from any thread.

    Args:
        interval: seconds of a beat.
        feed: tells what is planted when.
        began: Unix seconds at which beats can be expected from.
    """

    def __init__(self, interval: float, feed: HeartbeatFeed, began: float) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        self._calm_at = float("-inf")
        """When the screen last found nothing where nothing is; -inf once it found something there."""
        self._spared_at: float | None = None
        """When a model was last left alone; None once one was asked."""
        self._state = HeartbeatState(interval, screen_success_at=began, success_at=began)

    @property
    def state(self) -> HeartbeatState:
        """How it stands."""
        return self._state

    def look(self, picture: WatchPicture) -> None:
        """Judge what the screen made of this step of the beat."""
        step = self._feed.step_at(picture.at)
        planted, calm = (_screen_score(picture, series) for series in (_PLANTED, _CALM))
        with self._lock:
            if step in CALM_STEPS:
                self._calm_at = picture.at if planted < THRESHOLD and calm < THRESHOLD else float("-inf")
                return
            was_calm = picture.at - self._calm_at < self._state.interval_seconds / 2
            if step in PLANTED_STEPS and planted >= THRESHOLD and calm < THRESHOLD and was_calm:
                self._state = replace(self._state, screen_success_at=picture.at)

    def hear(self, verdict: Verdict) -> None:
        """Judge a verdict: it counts where it is about an anomaly that the screen found too."""
        scores = {finding.series: finding.llm_score for finding in verdict.findings}
        right = (
            verdict.outcome == "ok" and scores.get(_PLANTED, 0.0) >= THRESHOLD and scores.get(_CALM, 0.0) < THRESHOLD
        )
        with self._lock:
            current = verdict.at - self._state.screen_success_at < self._state.interval_seconds
            if right and current:
                self._state = replace(self._state, success_at=verdict.at)

    def spared(self, at: float) -> None:
        """A model was left alone at this time (Unix seconds): no verdict can be expected until one is asked again."""
        with self._lock:
            self._spared_at = at
            self._state = replace(self._state, success_at=None)

    def asked(self) -> None:
        """A model is asked: a verdict can be expected, and could not before the last time that one was spared."""
        with self._lock:
            if self._spared_at is not None:
                self._state = replace(self._state, success_at=self._spared_at)
                self._spared_at = None


def _screen_score(picture: WatchPicture, series: Series) -> float:
    """NaN where it has none."""
    for table in picture.tables:
        if series in table.series:
            return float(table.screen[table.series.index(series)])
    return float("nan")
