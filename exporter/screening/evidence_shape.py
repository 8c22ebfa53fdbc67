"""The sentences about the shape of a series: where it drifts to, how it swings, how it stands to its peers."""

import math
from dataclasses import dataclass

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.evidence import format_number, format_span, format_value
from exporter.series.frame import FloatArray

_TOLD_AHEAD = 4.0
"""A limit further ahead than this many windows is not told."""
_PER = ((2 * 86400.0, 86400.0, "day"), (0.0, 3600.0, "hour"))
"""From which length of a drift on its rate is told for which span of time."""
_TURNS = (0.1, 0.9)
"""Quantiles that are told as the turning points of a swing."""
_FULL = {"ratio": 1.0, "percent": 100.0, "%": 100.0}
"""The highest value that a unit itself allows."""


@dataclass(frozen=True, slots=True)
class Way:
    """A drift in numbers."""

    instants: int
    slope: float
    """For each instant."""
    newest: float
    """Where it is."""
    limit: float
    """NaN where none is known."""
    ahead: float
    """Instants until the limit is reached."""
    pauses: bool
    """Whether it went back for a while."""


def drift_text(baseline: Baseline, way: Way, unit: str) -> str:
    """How fast a series drifts, for how long, and when it will be where."""
    seconds = float(baseline.times[-1] - baseline.times[-way.instants])
    each = seconds / (way.instants - 1)
    size, name = next((size, name) for from_, size, name in _PER if seconds >= from_)
    verb = "rises" if way.slope > 0 else "falls"
    steadily = "" if way.pauses else " without a pause"
    text = (
        f"{verb} by {format_value(abs(way.slope) / each * size, unit)} per {name} for {format_span(seconds)}{steadily}"
    )
    limit, ahead = way.limit, way.ahead
    full = _FULL.get(unit, math.nan)
    if math.isnan(limit) and way.slope > 0 and way.newest < full:
        limit, ahead = full, (full - way.newest) / way.slope
    if math.isnan(limit) or not 0 < ahead <= _TOLD_AHEAD * baseline.times.size:
        return text
    return f"{text}; at this rate it reaches {format_value(limit, unit)} in {format_span(ahead * each)}"


def scatter_text(baseline: Baseline, typical: FloatArray, newest: int, length: int, unit: str) -> str:
    """How much neighbouring values differ, against earlier stretches of as many instants.

    Args:
        baseline: for the times.
        typical: `[parts]` by how much they differ in each part of the window; NaN where that is not known.
        newest: how many parts are meant by now. The one before them belongs to neither side.
        length: of a part, in instants.
        unit: of the series.
    """
    earlier = typical[: typical.size - newest - 1]
    earlier = np.where(np.isnan(earlier), earlier[~np.isnan(earlier)].mean(), earlier)
    stretches = np.convolve(earlier, np.full(newest, 1 / newest), mode="valid")
    low, high = format_number(float(stretches.min())), format_number(float(stretches.max()))
    between = f"about {low}" if low == high else f"{low} to {high}"
    return (
        f"for the newest {_newest_span(baseline, newest * length)} neighbouring values typically differ by "
        f"{format_value(float(typical[-newest:].mean()), unit)}; in earlier stretches of that length it was {between}"
    )


@dataclass(frozen=True, slots=True)
class Swing:
    """A regular swing in numbers."""

    instants: int
    """For how long it is looked at."""
    period: float
    """Instants."""
    before: float
    """Height of the highest swing before."""


def swing_text(baseline: Baseline, row: int, swing: Swing, unit: str) -> str:
    """How far a series swings, how fast, and whether it did before."""
    values = baseline.values[row, -swing.instants :]
    low, high = np.quantile(values[~np.isnan(values)], _TURNS)
    each = float(baseline.times[-1] - baseline.times[-swing.instants]) / (swing.instants - 1)
    before = f"were at most {format_number(swing.before)} high" if swing.before > 0 else "were none"
    return (
        f"swings between {format_number(float(low))} and {format_value(float(high), unit)} about every "
        f"{format_span(swing.period * each)} in the newest {_newest_span(baseline, swing.instants)}; before, regular swings {before}"
    )


@dataclass(frozen=True, slots=True)
class Apart:
    """How a series stands to its peers, in numbers."""

    judged: int
    newest: float
    """The median of the judged values."""
    middle: float
    """The median of these in the set."""
    usual: tuple[float, float]
    """Lowest and highest distance from the median before."""
    size: int
    """Series in the set."""
    span: float
    """Seconds that are meant by before."""


def apart_text(apart: Apart, unit: str) -> str:
    """How far a series lies from its peers, against how far it did."""
    what = "the newest value" if apart.judged == 1 else f"the median of the newest {apart.judged} values"
    low, high = (format_number(end) for end in apart.usual)
    was = f"always {low}" if low == high else f"{low} to {high}"
    return (
        f"{what} is {format_value(apart.newest, unit)}, which is {format_number(apart.newest - apart.middle)} from the median "
        f"{format_number(apart.middle)} of its set of {apart.size} peers; in the {format_span(apart.span)} before, that was {was}"
    )


def _newest_span(baseline: Baseline, instants: int) -> str:
    return format_span(float(baseline.times[-1] - baseline.times[-instants]))
