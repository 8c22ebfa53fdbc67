"""Frames, calm series of several kinds, and short ways to screen them."""

import numpy as np

from exporter.config.model import Selection
from exporter.screening.policy import policy_of
from exporter.screening.result import KINDS
from exporter.screening.screen import screen
from exporter.series.frame import Frame
from exporter.series.labels import Series

INTERVAL = 15.0
INSTANTS = 240


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
