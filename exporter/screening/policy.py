"""What the user knows about series, as arrays: applied before anything is scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from exporter.config.intervals import TimeInterval
from exporter.config.model import Selection
from exporter.series.frame import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]
Intervals = tuple[TimeInterval, ...]

_DIRECTIONS = {"below": -1, "both": 0, "above": 1}


@dataclass(frozen=True, eq=False)
class Policy:
    """One entry a series; arrays `[series]`."""

    direction: npt.NDArray[np.int8]
    """-1: only values below the usual ones count; +1: only above; 0: both."""
    min_change_absolute: FloatArray
    """Smallest change that matters, in the unit of the series; 0 where none is set."""
    min_change_relative: FloatArray
    """Smallest change that matters, as a share of the usual value; 0 where none is set."""
    valid_min: FloatArray
    """-inf where none is set."""
    valid_max: FloatArray
    """+inf where none is set."""
    for_seconds: FloatArray
    """How long an oddness has to last before the score may reach 0.5; 0 where it need not."""
    quiet: IntArray
    """Which of `quiet_sets` is the series' own; -1: it has no quiet hours."""
    quiet_sets: tuple[Intervals, ...]
    """The different quiet hours among the entries of the watch, each of them once."""
    band: BoolArray
    """Whether value and expected band are wanted always, not only while suspicious."""

    def rows(self, which: slice | IntArray) -> Self:
        """The policy of some of the series."""
        return type(self)(
            direction=self.direction[which],
            min_change_absolute=self.min_change_absolute[which],
            min_change_relative=self.min_change_relative[which],
            valid_min=self.valid_min[which],
            valid_max=self.valid_max[which],
            for_seconds=self.for_seconds[which],
            quiet=self.quiet[which],
            quiet_sets=self.quiet_sets,
            band=self.band[which],
        )

    def matters(self, change: FloatArray, usual: FloatArray) -> BoolArray:
        """Whether changes go in a direction that counts and are large enough.

        Args:
            change: `[series × k]`, signed, in the unit of the series; NaN never matters.
            usual: `[series × k]` or `[series × 1]`, what a relative minimum is a share of; from NaN nothing is a change.

        Returns:
            `[series × k]`.
        """
        smallest = np.maximum(self.min_change_absolute[:, None], self.min_change_relative[:, None] * np.abs(usual))
        # The sign, because an infinite change times a direction of 0 is none.
        return (np.sign(change) * self.direction[:, None] >= 0) & (np.abs(change) >= smallest)

    def outside(self, values: FloatArray) -> BoolArray | None:
        """[series × instants]: which values are outside the valid range; None where no series has one.

        Args:
            values: `[series × instants]`.
        """
        if not (np.isfinite(self.valid_min).any() or np.isfinite(self.valid_max).any()):
            return None
        outside: BoolArray = (values < self.valid_min[:, None]) | (values > self.valid_max[:, None])
        return outside

    def quiet_at(self, time: float) -> BoolArray:
        """Whether series are in their quiet hours. Each of the `quiet_sets` is looked at once, whatever the series.

        Args:
            time: Unix seconds.

        Returns:
            `[series]`.
        """
        within = [any(interval.holds(time) for interval in intervals) for intervals in self.quiet_sets]
        # The last one is what -1 means.
        return np.array([*within, False], dtype=np.bool_)[self.quiet]


def policy_of(selections: Sequence[Selection], select: IntArray, quiet_hours: Sequence[TimeInterval] = ()) -> Policy:
    """The policy of each series.

    Args:
        selections: the `select` list of a watch.
        select: `[series]`, the entry of that list each series came in by.
        quiet_hours: those of the watch, for entries that have none of their own.
    """

    def floats(values: Sequence[float | None], otherwise: float = 0.0) -> FloatArray:
        return np.array([otherwise if value is None else value for value in values], dtype=np.float64)[select]

    quiet_sets, quiet = _distinct(
        [tuple(quiet_hours if entry.quiet_hours is None else entry.quiet_hours) for entry in selections]
    )
    return Policy(
        direction=np.array([_DIRECTIONS[entry.direction] for entry in selections], dtype=np.int8)[select],
        min_change_absolute=floats([entry.min_change_absolute for entry in selections]),
        min_change_relative=floats([entry.min_change_relative for entry in selections]),
        valid_min=floats([entry.valid_min for entry in selections], -np.inf),
        valid_max=floats([entry.valid_max for entry in selections], np.inf),
        for_seconds=floats([entry.for_ for entry in selections]),
        quiet=np.array(quiet, dtype=np.intp)[select],
        quiet_sets=quiet_sets,
        band=np.array([entry.band for entry in selections], dtype=np.bool_)[select],
    )


def _distinct(wanted: Sequence[Intervals]) -> tuple[tuple[Intervals, ...], list[int]]:
    """The sets that are not empty, each once, and for each entry which of them it has; -1 for an empty one."""
    sets: list[Intervals] = []
    for intervals in wanted:
        if intervals and intervals not in sets:
            sets.append(intervals)
    return tuple(sets), [sets.index(intervals) if intervals else -1 for intervals in wanted]
