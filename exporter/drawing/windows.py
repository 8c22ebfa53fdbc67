"""One series over time as SVG that fills the width it is given: only what lies along the time axis is stretched.

Lines are drawn in units of a thousandth of the width; text, dots and marks stand outside of that, at shares of it, so that
they keep their shape and size on a phone and beside a wide table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from exporter.drawing.curves import Scale, Size, extremes, path
from exporter.drawing.plots import bounds
from exporter.drawing.ticks import time_ticks, value_ticks
from exporter.drawing.wording import utc
from exporter.series.frame import FloatArray

PLOT = Size(1000, 150)
"""Of the part with the line; its height is in pixels."""
HEIGHT = 172
"""With the times below it, in pixels."""
_COLUMNS = 360
_MARGIN = 0.09
_EDGE = 6.0
_HALF = 50.0
_DAYS = 2 * 86400.0
"""Seconds: what is longer has days at its axis."""
_CLOCK_PARTS = {"day": slice(5, 10), "clock": slice(11, 16), "second": slice(11, 19)}
"""Of a time in ISO 8601."""
_TICKS = 4
_TEXT = 14.0
"""Pixels that a line of text takes."""
_LEFT = 14.0
"""Percent of the width that the values at the left take."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the time that is shaded and named."""

    begin: float
    """Unix seconds."""
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A value that is pointed at."""

    at: float
    """Unix seconds."""
    value: float
    label: str


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a chart shows."""

    title: str
    """What a screen reader calls it."""
    description: str
    """What it shows in words."""
    times: FloatArray
    """[instants]: Unix seconds, increasing."""
    values: FloatArray
    """[instants], NaN where there is none."""
    lower: float
    """The expected band; NaN where there is none."""
    upper: float
    stretches: Sequence[Stretch] = ()
    pins: Sequence[Pin] = ()
    measure: float = 1.0
    """The values of the axis are round multiples of this: 1024² where they are written as MiB."""


def window_chart(drawn: Drawn, spell: Callable[[float], str]) -> Markup:
    """A line with the band behind it, what is outside of the band marked, stretches shaded, axes with times and values.

    Args:
        drawn: what to show.
        spell: writes a value of the axis.

    Returns:
        An `<svg>` element; its frame and words alone where no value is finite.
    """
    head = (
        f'<svg class="window" width="100%" height="{HEIGHT}" role="img">'
        f"<title>{escape(drawn.title)}</title><desc>{escape(drawn.description)}</desc>"
    )
    reach = bounds(drawn.values, np.array([drawn.lower]), np.array([drawn.upper])) if drawn.times.size else None
    if reach is None:
        return Markup(f"{head}</svg>")  # noqa: S704 - foreign text is escaped
    scale = Scale(float(drawn.times[0]), float(drawn.times[-1]), *reach, PLOT, _EDGE, _MARGIN)
    stretched = "".join([*_shades(drawn, scale), _band(drawn, scale), *_lines(drawn, scale)])
    smallest, largest = (scale.smallest / drawn.measure, scale.largest / drawn.measure)
    ticks = [tick * drawn.measure for tick in value_ticks(smallest, largest, _TICKS)] or [scale.largest]
    parts = [
        head,
        *_grid(ticks, scale),
        (
            f'<svg viewBox="0 0 {PLOT.width:g} {PLOT.height:g}" width="100%" height="{PLOT.height:g}" '
            f'preserveAspectRatio="none">{stretched}</svg>'
        ),
        *_values(ticks, scale, spell),
        *_names(drawn, scale),
        _newest(drawn, scale),
        *_pins(drawn, scale),
        *time_axis(scale.first, scale.last, HEIGHT - 6, edge=_EDGE),
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704 - foreign text is escaped


def time_axis(begin: float, end: float, height: float, edge: float = 0.0) -> list[str]:
    """The times below a chart, each with the Unix seconds that a script can write in the viewer's zone.

    Args:
        begin: Unix seconds at the left.
        end: at the right.
        height: of the base line, in pixels from the top.
        edge: what is free at the left and the right, in thousandths of the width.
    """
    scale = Scale(begin, end, 0.0, 1.0, PLOT, edge)
    ticks = time_ticks(begin, end, 4)
    how = "day" if end - begin > _DAYS else "second" if any(tick % 60 for tick in ticks) else "clock"
    texts = []
    for tick in ticks:
        place = scale.x(tick) / 10
        anchor = "start" if place < 4 else "end" if place > 96 else "middle"
        texts.append(
            f'<text class="tick-text" x="{place:.2f}%" y="{height:g}" text-anchor="{anchor}" data-at="{tick:.0f}" '
            f'data-as="{how}">{utc(tick)[_CLOCK_PARTS[how]]}</text>'
        )
    return texts


def _grid(ticks: Sequence[float], scale: Scale) -> list[str]:
    return [
        f'<line class="grid" x1="0" x2="100%" y1="{scale.y(tick):.1f}" y2="{scale.y(tick):.1f}"/>' for tick in ticks
    ]


def _values(ticks: Sequence[float], scale: Scale, spell: Callable[[float], str]) -> list[str]:
    # Above its line, below where the picture ends.
    heights = [scale.y(tick) - 4 if scale.y(tick) > _TEXT else scale.y(tick) + _TEXT for tick in ticks]
    return [
        f'<text class="tick-text" x="3" y="{height:.1f}">{escape(spell(tick))}</text>'
        for tick, height in zip(ticks, heights, strict=True)
    ]


def _clipped(drawn: Drawn, scale: Scale) -> list[tuple[float, float, str]]:
    """The stretches as far as they are within the picture, in its units."""
    within = [
        (max(one.begin, scale.first), min(one.end, scale.last), one.label)
        for one in drawn.stretches
        if one.end >= scale.first and one.begin <= scale.last
    ]
    return [(scale.x(begin), scale.x(end), label) for begin, end, label in within]


def _shades(drawn: Drawn, scale: Scale) -> list[str]:
    return [
        f'<rect class="shade" x="{begin:.1f}" y="0" width="{max(end - begin, 2.0):.1f}" height="{PLOT.height:g}"/>'
        for begin, end, _ in _clipped(drawn, scale)
    ]


def _names(drawn: Drawn, scale: Scale) -> list[str]:
    names = []
    for begin, end, label in _clipped(drawn, scale):
        place, anchor = (begin / 10, "start") if begin < 10 * _HALF else (end / 10, "end")
        place = max(place, _LEFT)
        names.append(f'<text class="shade-name" x="{place:.2f}%" y="11" text-anchor="{anchor}">{escape(label)}</text>')
    return names


def _band(drawn: Drawn, scale: Scale) -> str:
    if np.isnan(drawn.lower) or np.isnan(drawn.upper):
        return ""
    low, high = np.clip([drawn.lower, drawn.upper], scale.smallest, scale.largest).tolist()
    top, bottom = scale.y(high), scale.y(low)
    return f'<rect class="band" x="0" y="{top:.1f}" width="{PLOT.width:g}" height="{max(bottom - top, 1):.1f}"/>'


def _lines(drawn: Drawn, scale: Scale) -> list[str]:
    instants = extremes(drawn.values, _COLUMNS)
    lines = [f'<path class="line" d="{path(drawn.times, drawn.values, scale, instants)}"/>']
    outside = (drawn.values > drawn.upper) | (drawn.values < drawn.lower)
    if outside.any():
        # With the values before and after, so that the line leaves the band in the same colour.
        near = outside | np.append(outside[1:], False) | np.insert(outside[:-1], 0, False)
        odd = path(drawn.times, np.where(near, drawn.values, np.nan), scale, instants)
        lines.append(f'<path class="line outside" d="{odd}"/>')
    return lines


def _newest(drawn: Drawn, scale: Scale) -> str:
    last = int(np.flatnonzero(np.isfinite(drawn.values))[-1])
    value = float(drawn.values[last])
    kind = "now outside" if value > drawn.upper or value < drawn.lower else "now"
    return f'<circle class="{kind}" cx="{scale.x(drawn.times[last]) / 10:.2f}%" cy="{scale.y(value):.1f}" r="3"/>'


def _pins(drawn: Drawn, scale: Scale) -> list[str]:
    pins = []
    for pin in drawn.pins:
        place, height = scale.x(pin.at) / 10, scale.y(pin.value)
        anchor, aside = ("end", "-9") if place > _HALF else ("start", "9")
        lowered = height + 16 if height < PLOT.height / 2 else height - 8
        pins.append(
            f'<g class="pin"><circle cx="{place:.2f}%" cy="{height:.1f}" r="6"/>'
            f'<text x="{place:.2f}%" dx="{aside}" y="{lowered:.1f}" text-anchor="{anchor}">{escape(pin.label)}</text></g>'
        )
    return pins
