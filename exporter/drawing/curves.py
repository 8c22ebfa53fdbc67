"""Lines as SVG: where a value stands in a drawing, and which of thousands of values need to be drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from markupsafe import escape

from exporter.series.frame import FloatArray


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in the units of the drawing."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Where places, from left to right, and values, from the bottom up, stand in a drawing."""

    first: float
    """The place at the left: an index or a time."""
    last: float
    smallest: float
    largest: float
    size: Size
    edge: float = 0.0
    """Free at the left and the right, in units of the drawing."""
    margin: float = 0.0
    """Share of the height that stays free at the top and the bottom."""

    @classmethod
    def over(
        cls, values: FloatArray, first: float, last: float, size: Size, *, edge: float = 0.0, margin: float = 0.0
    ) -> Self | None:
        """The scale that just shows all finite values; None where there is none."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return None
        return cls(first, last, float(finite.min()), float(finite.max()), size, edge, margin)

    def x(self, place: float) -> float:
        """Units from the left edge."""
        span = self.last - self.first or 1.0
        return self.edge + (self.size.width - 2 * self.edge) * (place - self.first) / span

    def y(self, value: float) -> float:
        """Units from the top; the middle where all values are the same."""
        # Halves, because the difference of two huge numbers may be too large for a float.
        span = self.largest / 2 - self.smallest / 2
        share = (self.largest / 2 - value / 2) / span if span else 0.5
        return self.size.height * (self.margin + (1 - 2 * self.margin) * share)


def opening(title: str, size: Size, kind: str, description: str = "") -> str:
    """The start tag of an `<svg>` of a class, with the title and the description that a screen reader says."""
    described = f"<desc>{escape(description)}</desc>" if description else ""
    return (
        f'<svg class="{kind}" viewBox="0 0 {size.width:g} {size.height:g}" width="{size.width:g}" height="{size.height:g}" '
        f'role="img"><title>{escape(title)}</title>{described}'
    )


def path(places: FloatArray, values: FloatArray, scale: Scale, instants: Iterable[int]) -> str:
    """The commands of an SVG path through some of the values, interrupted where one of them is not finite.

    Args:
        places: [instants], from left to right.
        values: [instants].
        scale: where they stand.
        instants: which to draw, in order.
    """
    commands = []
    pen_down = False
    for instant in instants:
        value = values[instant]
        if not np.isfinite(value):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{scale.x(places[instant]):.1f} {scale.y(value):.1f}")
        pen_down = True
    return "".join(commands)


def corners(values: FloatArray, instants: Sequence[int]) -> list[int]:
    """Those of the instants that a line needs: without the ones in the middle of a level stretch."""
    level = values[np.asarray(instants, dtype=np.int64)]
    needed = np.ones(level.size, dtype=np.bool_)
    needed[1:-1] = (level[1:-1] != level[:-2]) | (level[1:-1] != level[2:])
    return [instant for instant, kept in zip(instants, needed, strict=True) if kept]


def extremes(values: FloatArray, columns: int) -> list[int]:
    """The instants that matter at this width: of each column the smallest, the largest and the first missing value."""
    if len(values) <= 2 * columns:
        return list(range(len(values)))
    longer = len(values) % columns
    wide = len(values) // columns + 1
    chosen = [np.array([len(values) - 1])]
    # As in `np.array_split`, the first columns are one instant wider than the rest.
    for start, block in (
        (0, values[: longer * wide].reshape(longer, wide)),
        (longer * wide, values[longer * wide :].reshape(columns - longer, wide - 1)),
    ):
        begins = start + np.arange(len(block)) * block.shape[1]
        missing = ~np.isfinite(block)
        some, others = missing.any(axis=1), ~missing.all(axis=1)
        chosen += [
            (begins + missing.argmax(axis=1))[some],
            (begins + np.where(np.isnan(block), np.inf, block).argmin(axis=1))[others],
            (begins + np.where(np.isnan(block), -np.inf, block).argmax(axis=1))[others],
        ]
    return [int(instant) for instant in np.unique(np.concatenate(chosen))]
