"""What happened over time as SVG that fills the width it is given: marks that may be links, and stretches of a state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from exporter.drawing.windows import time_axis

LANE_HEIGHT = 44
SPAN_HEIGHT = 22
_AXIS_HEIGHT = 20
_PADDING = 9.0
_LEGIBLE = 14.0
"""Percent of the width that a stretch needs so that its state is written into it."""
_EDGE = 0.8
"""Percent that is free at the left and the right."""

Shape = Literal["dot", "diamond", "triangle", "ring", "cross"]
_SHAPES: dict[Shape, str] = {
    "dot": '<circle r="3.5"/>',
    "ring": '<circle r="4" class="hollow"/>',
    "diamond": '<path d="M0 -6L6 0L0 6L-6 0Z"/>',
    "triangle": '<path d="M0 -7L7 5.5L-7 5.5Z"/>',
    "cross": '<path class="hollow" d="M-4 -4L4 4M-4 4L4 -4"/>',
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that happened."""

    at: float
    """Unix seconds."""
    height: float | None
    """0..1 from the bottom; None for the bottom."""
    shape: Shape
    kind: str
    """Its class in the style sheet."""
    title: str
    """What it is, in words."""
    href: str = ""
    """Where it leads."""


@dataclass(frozen=True, slots=True)
class Span:
    """A state that lasted."""

    begin: float
    """Unix seconds."""
    end: float
    state: str
    """In words."""
    kind: str
    """Its class in the style sheet."""


def marks(title: str, begin: float, end: float, happened: Sequence[Mark], boundary: float | None = None) -> Markup:
    """Marks over time.

    Args:
        title: what a screen reader calls it.
        begin: Unix seconds at the left.
        end: at the right.
        happened: in the order they are drawn; those outside of the time are left out.
        boundary: 0..1, the height of a line across; None for none.
    """
    parts = [f'<svg class="lane" width="100%" height="{LANE_HEIGHT}" role="group" aria-label="{escape(title)}">']
    parts.append(f'<line class="base" x1="0" x2="100%" y1="{_height(0):.1f}" y2="{_height(0):.1f}"/>')
    if boundary is not None:
        parts.append(
            f'<line class="bound" x1="0" x2="100%" y1="{_height(boundary):.1f}" y2="{_height(boundary):.1f}"/>'
        )
    parts += [_mark(one, begin, end) for one in happened if begin <= one.at <= end]
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - foreign text is escaped


def spans(title: str, begin: float, end: float, lasted: Sequence[Span]) -> Markup:
    """States over time, each as a bar with its name where there is room.

    Args:
        title: what a screen reader calls it.
        begin: Unix seconds at the left.
        end: at the right.
        lasted: those outside of the time are left out.
    """
    within = [one for one in lasted if one.end > begin and one.begin < end]
    told = "; ".join(one.state for one in within)
    parts = [
        (
            f'<svg class="lane" width="100%" height="{SPAN_HEIGHT}" role="img">'
            f"<title>{escape(title)}</title><desc>{escape(told)}</desc>"
        )
    ]
    for one in within:
        left, right = place(max(one.begin, begin), begin, end), place(min(one.end, end), begin, end)
        bar = f'<rect x="{left:.2f}%" y="2" width="{max(right - left, 0.3):.2f}%" height="{SPAN_HEIGHT - 4}" rx="3"/>'
        name = (
            f'<text x="{left:.2f}%" dx="7" y="{SPAN_HEIGHT / 2 + 4:g}">{escape(one.state)}</text>'
            if right - left >= _LEGIBLE
            else ""
        )
        parts.append(f'<g class="span {one.kind}"><title>{escape(one.state)}</title>{bar}{name}</g>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - foreign text is escaped


def axis(begin: float, end: float) -> Markup:
    """The times below lanes."""
    texts = time_axis(begin, end, _AXIS_HEIGHT - 6, edge=10 * _EDGE)
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="lane" width="100%" height="{_AXIS_HEIGHT}" aria-hidden="true">{"".join(texts)}</svg>'
    )


def place(at: float, begin: float, end: float) -> float:
    """Percent of the width at which a time stands."""
    share = (at - begin) / (end - begin) if end > begin else 0.5
    return _EDGE + (100 - 2 * _EDGE) * share


def _height(share: float) -> float:
    return LANE_HEIGHT - _PADDING - (LANE_HEIGHT - 2 * _PADDING) * min(max(share, 0.0), 1.0)


def _mark(one: Mark, begin: float, end: float) -> str:
    # A nested picture can stand at a share of the width, a path cannot.
    drawn = (
        f'<svg x="{place(one.at, begin, end):.2f}%" y="{_height(one.height or 0.0):.1f}" overflow="visible">'
        f'<g class="mark {one.kind}"><title>{escape(one.title)}</title>{_SHAPES[one.shape]}</g></svg>'
    )
    if not one.href:
        return drawn
    # The list beside the timeline has the same links: no need to tab through hundreds of marks.
    return f'<a href="{escape(one.href)}" tabindex="-1" aria-label="{escape(one.title)}">{drawn}</a>'
