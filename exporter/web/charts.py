"""Small charts as SVG, drawn on the server: no script, and colours from the style sheet only."""

import numpy as np
from markupsafe import Markup

from exporter.drawing.curves import Scale, Size, extremes, opening, path
from exporter.screening.result import THRESHOLD
from exporter.series.frame import FloatArray

_HIGH = 0.75
_EDGE = 3.0
"""Free at the left and the right, for the dot at the end."""
_MARGIN = 0.06
"""Share of the height that stays free at the top and the bottom."""

SPARKLINE = Size(180, 36)
METER = Size(84, 8)


def curve(title: str, values: FloatArray, band: tuple[float, float], size: Size) -> Markup:
    """A line with the newest value marked and the expected band behind it.

    Args:
        title: what a screen reader says.
        values: [instants], NaN where there is no value: the line is interrupted there.
        band: lower and upper edge of what was expected; NaN where nothing was.
        size: of the drawing; the line has at most one extreme pair for each unit of width.

    Returns:
        An `<svg>` element; just the frame where no value is finite.
    """
    parts = [opening(title, size, "curve")]
    scale = _scale(values, band, size)
    if scale is not None:
        if np.isfinite(band).all():
            top, bottom = scale.y(band[1]), scale.y(band[0])
            parts.append(
                f'<rect class="band" x="0" y="{top:.1f}" width="{size.width:g}" height="{max(bottom - top, 1):.1f}"/>'
            )
        places, drawn = np.arange(len(values), dtype=np.float64), extremes(values, int(size.width))
        parts.append(f'<path class="line" d="{path(places, values, scale, drawn)}"/>')
        last = int(np.flatnonzero(np.isfinite(values))[-1])
        inside = not np.isfinite(band).all() or band[0] <= values[last] <= band[1]
        kind = "now" if inside else "now outside"
        parts.append(f'<circle class="{kind}" cx="{scale.x(last):.1f}" cy="{scale.y(values[last]):.1f}" r="2.6"/>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - the title, which is foreign text, is escaped


def meter(score: float | None) -> Markup:
    """A bar from 0 to 1 with a tick at the boundary; an empty one where there is no score."""
    title = "no score" if score is None else f"score {score:.2f}"
    parts = [
        opening(title, METER, "meter"),
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
    return "high" if score > _HIGH else "raised" if score >= THRESHOLD else "calm"


def _scale(values: FloatArray, band: tuple[float, float], size: Size) -> Scale | None:
    if not np.isfinite(values).any():
        return None
    shown = np.concatenate([values, band])
    return Scale.over(shown, 0.0, max(len(values) - 1, 1), size, edge=_EDGE, margin=_MARGIN)
