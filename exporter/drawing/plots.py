"""Thousands of values over time as few strokes of SVG: a line that keeps every spike, and the area of a band."""

import math

import numpy as np

from exporter.drawing.curves import Scale, corners, extremes, path
from exporter.series.frame import FloatArray

POINTS = 1500
"""About so many points a line has at most."""
_COLUMNS = POINTS // 2 - 40
_BAND_COLUMNS = 320
_BROKEN = 0.02
"""A line is interrupted where nothing was for this share of the picture."""
_BAND_REACH = 0.25
"""So far, as a share of the values' range, a picture reaches for a band that lies beyond them."""


def bounds(values: FloatArray, lower: FloatArray, upper: FloatArray) -> tuple[float, float] | None:
    """What a picture reaches over: all values, and of the band what is not too far from them."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    smallest, largest = float(finite.min()), float(finite.max())
    reach = (largest - smallest) * _BAND_REACH or math.inf
    below, above = lower[np.isfinite(lower)], upper[np.isfinite(upper)]
    if below.size:
        smallest = min(smallest, max(float(below.min()), smallest - reach))
    if above.size:
        largest = max(largest, min(float(above.max()), largest + reach))
    return smallest, largest


def line(times: FloatArray, values: FloatArray, scale: Scale) -> str:
    """The path of a line: at most about `POINTS` points, each extreme kept, interrupted where nothing was for long.

    Args:
        times: [instants], increasing.
        values: [instants], NaN where there is none.
        scale: where they stand.
    """
    after = np.flatnonzero(np.diff(times) > _BROKEN * (scale.last - scale.first)) + 1
    times, values = np.insert(times, after, times[after]), np.insert(values, after, np.nan)
    return path(times, values, scale, corners(values, extremes(values, _COLUMNS)))


def area(times: FloatArray, lower: FloatArray, upper: FloatArray, scale: Scale) -> str:
    """The path of the area between two edges: in each column of the picture from the lowest to the highest.

    Args:
        times: [instants], increasing.
        lower: [instants], NaN where there is no area; infinite edges end at the border.
        upper: [instants].
        scale: where they stand.
    """
    starts = np.unique(np.linspace(0, times.size, _BAND_COLUMNS, endpoint=False).astype(np.int64))
    known = ~(np.isnan(lower) | np.isnan(upper))
    low = np.minimum.reduceat(np.where(known, lower, np.inf), starts)
    high = np.maximum.reduceat(np.where(known, upper, -np.inf), starts)
    filled = np.flatnonzero(np.logical_or.reduceat(known, starts))
    ends = np.append(times[starts[1:]], times[-1])
    low, high = (np.clip(edge, scale.smallest, scale.largest) for edge in (low, high))
    areas = []
    for stretch in np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1):
        if stretch.size:
            places = [scale.x(place) for place in (*times[starts[stretch]], ends[stretch[-1]])]
            columns = [*stretch, stretch[-1]]
            edges = [
                [f"{place:.1f} {scale.y(edge[column]):.1f}" for place, column in zip(places, columns, strict=True)]
                for edge in (high, low)
            ]
            areas.append("M" + "L".join([*edges[0], *reversed(edges[1])]) + "Z")
    return "".join(areas)
