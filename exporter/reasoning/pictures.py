"""The windows that a verdict was reached on, small enough to be kept with it: the present one moves on."""

import math
from dataclasses import dataclass

from exporter.drawing.curves import extremes
from exporter.screening.result import Alarm, ScreenedSeries
from exporter.series.labels import Series

MOST_PICTURES = 12
"""With a verdict: those of the series that the model, or else the screen, found most anomalous."""
_COLUMNS = 32
"""A picture keeps the extremes of so many stretches of time: at most three instants of each."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One series as it was judged."""

    id: str
    """Its id in the snapshot: S1, S2 …"""
    series: Series
    begin: float
    """Unix seconds of the first instant."""
    offsets: tuple[float, ...]
    """[instants]: seconds since `begin`, increasing."""
    values: tuple[float, ...]
    """[instants], to 4 significant digits; NaN where there was none."""
    lower: float
    """The band that the newest value was expected in; NaN where nothing was."""
    upper: float
    alarms: tuple[Alarm, ...]
    """When the screen called it anomalous."""


def picture_of(name: str, one: ScreenedSeries) -> Picture:
    """What is kept of a series that a model is shown under this id."""
    begin = float(one.times[0]) if one.times.size else 0.0
    instants = extremes(one.values, _COLUMNS) if one.times.size else []
    return Picture(
        id=name,
        series=one.series,
        begin=begin,
        offsets=tuple(_short(float(one.times[instant]) - begin) for instant in instants),
        values=tuple(rounded(float(one.values[instant])) for instant in instants),
        lower=rounded(one.expected_lower),
        upper=rounded(one.expected_upper),
        alarms=one.alarms,
    )


def _short(seconds: float) -> float:
    """To a tenth, whole numbers without a point: thousands of them are kept."""
    tenths = round(seconds, 1)
    return int(tenths) if tenths.is_integer() else tenths


def rounded(value: float) -> float:
    """To 4 significant digits, as evidence is written."""
    return float(f"{value:.4g}") if math.isfinite(value) else value
