"""What the user knows about series, as arrays: applied before anything is scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from exporter.config.model import Selection
from exporter.series.frame import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

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
        return (change * self.direction[:, None] >= 0) & (np.abs(change) >= smallest)


def policy_of(selections: Sequence[Selection], select: IntArray) -> Policy:
    """The policy of each series.

    Args:
        selections: the `select` list of a watch.
        select: `[series]`, the entry of that list each series came in by.
    """

    def floats(values: Sequence[float | None], otherwise: float = 0.0) -> FloatArray:
        return np.array([otherwise if value is None else value for value in values], dtype=np.float64)[select]

    return Policy(
        direction=np.array([_DIRECTIONS[entry.direction] for entry in selections], dtype=np.int8)[select],
        min_change_absolute=floats([entry.min_change_absolute for entry in selections]),
        min_change_relative=floats([entry.min_change_relative for entry in selections]),
        valid_min=floats([entry.valid_min for entry in selections], -np.inf),
        valid_max=floats([entry.valid_max for entry in selections], np.inf),
        band=np.array([entry.band for entry in selections], dtype=np.bool_)[select],
    )
