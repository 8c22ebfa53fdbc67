"""Small charts as SVG, drawn on the server: no script, and colours from the style sheet only."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from exporter.screening.result import THRESHOLD
from exporter.series.frame import FloatArray

_HIGH = 0.75
_EDGE = 3.0
"""Free at the left and the right, for the dot at the end."""
_MARGIN = 0.06
"""Share of the height that stays free at the top and the bottom."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in the units of the drawing."""

    width: float
    height: float


SPARKLINE = Size(180, 36)
CHART = Size(720, 170)
METER = Size(84, 8)


def curve(
    title: str,
    values: FloatArray,
    band: tuple[float, float],
    size: Size,
    spell: Callable[[float], str] | None = None,
) -> Markup:
    """A line with the newest value marked and the expected band behind it.

    Args:
        title: what a screen reader says.
        values: [instants], NaN where there is no value: the line is interrupted there.
        band: lower and upper edge of what was expected; NaN where nothing was.
        size: of the drawing; the line has at most one extreme pair for each unit of width.
        spell: writes the largest and the smallest value shown at the left edge; None leaves them out.

    Returns:
        An `<svg>` element; just the frame where no value is finite.
    """
    parts = [_open(title, size, "curve")]
    scale = _Scale.over(values, band, size)
    if scale is not None:
        if np.isfinite(band).all():
            top, bottom = scale.y(band[1]), scale.y(band[0])
            parts.append(
                f'<rect class="band" x="0" y="{top:.1f}" width="{size.width:g}" height="{max(bottom - top, 1):.1f}"/>'
            )
        parts.append(f'<path class="line" d="{_path(values, scale)}"/>')
        if spell is not None:
            parts.append(f'<text x="4" y="14">{escape(spell(scale.largest))}</text>')
            parts.append(f'<text x="4" y="{size.height - 4:g}">{escape(spell(scale.smallest))}</text>')
        last = int(np.flatnonzero(np.isfinite(values))[-1])
        inside = not np.isfinite(band).all() or band[0] <= values[last] <= band[1]
        kind = "now" if inside else "now outside"
        parts.append(f'<circle class="{kind}" cx="{scale.x(last):.1f}" cy="{scale.y(values[last]):.1f}" r="2.6"/>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - foreign text, title and units, is escaped


def meter(score: float | None) -> Markup:
    """A bar from 0 to 1 with a tick at the boundary; an empty one where there is no score."""
    title = "no score" if score is None else f"score {score:.2f}"
    parts = [
        _open(title, METER, "meter"),
        f'<rect class="rail" width="{METER.width:g}" height="{METER.height:g}" rx="4"/>',
    ]
    if score is not None:
        width = max(METER.height, METER.width * min(score, 1.0))
        parts.append(f'<rect class="fill {severity(score)}" width="{width:.1f}" height="{METER.height:g}" rx="4"/>')
    middle = METER.width / 2
    parts.append(f'<path class="tick" d="M{middle:g} 0V{METER.height:g}"/></svg>')
    return Markup("".join(parts))  # noqa: S704 - numbers only


def severity(score: float | None) -> str:
    """The class of a score in the style sheet: its colour."""
    if score is None:
        return "none"
    return "high" if score > _HIGH else "raised" if score > THRESHOLD else "calm"


def _open(title: str, size: Size, kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {size.width:g} {size.height:g}" width="{size.width:g}" height="{size.height:g}" '
        f'role="img"><title>{escape(title)}</title>'
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    smallest: float
    largest: float
    instants: int
    size: Size

    @classmethod
    def over(cls, values: FloatArray, band: tuple[float, float], size: Size) -> "_Scale | None":
        finite = values[np.isfinite(values)]
        if not finite.size:
            return None
        shown = np.concatenate([finite, [edge for edge in band if np.isfinite(edge)]])
        return cls(float(shown.min()), float(shown.max()), len(values), size)

    def x(self, instant: float) -> float:
        span = max(self.instants - 1, 1)
        return _EDGE + (self.size.width - 2 * _EDGE) * instant / span

    def y(self, value: float) -> float:
        # Halves, because the difference of two huge numbers may be too large for a float.
        span = self.largest / 2 - self.smallest / 2
        share = (self.largest / 2 - value / 2) / span if span else 0.5
        return self.size.height * (_MARGIN + (1 - 2 * _MARGIN) * share)


def _path(values: FloatArray, scale: _Scale) -> str:
    commands = []
    pen_down = False
    for instant in _extremes(values, int(scale.size.width)):
        value = values[instant]
        if not np.isfinite(value):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{scale.x(instant):.1f} {scale.y(value):.1f}")
        pen_down = True
    return "".join(commands)


def _extremes(values: FloatArray, columns: int) -> list[int]:
    """The instants that matter at this width: of each column the smallest, the largest and the first missing value."""
    if len(values) <= 2 * columns:
        return list(range(len(values)))
    chosen: set[int] = {len(values) - 1}
    for column in np.array_split(np.arange(len(values)), columns):
        part = values[column]
        missing = ~np.isfinite(part)
        if missing.any():
            chosen.add(int(column[int(np.argmax(missing))]))
        if not missing.all():
            chosen.update((int(column[int(np.nanargmin(part))]), int(column[int(np.nanargmax(part))])))
    return sorted(chosen)
