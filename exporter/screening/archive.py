"""The arrays behind a history: what a disk keeps of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from exporter.screening.policy import BoolArray
from exporter.screening.slots import FIELDS, Code, SmallArray
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Labels

Identity = tuple[str, Labels]
"""Metric name and labels."""

SUM, COUNT, LOW, HIGH, SURPRISED, LEAST, MOST = range(7)
"""Rows of what is counted of the slot that runs."""
BEGAN, CALM_SINCE, ODD_SINCE, SETTLED, KIND = range(5)
"""Rows of what is known of episodes (see `episodes`)."""
_NO_EPISODE = np.array([np.nan, np.nan, np.nan, 0.0, -1.0])
_NOTHING_COUNTED = np.array([0.0, 0.0, np.inf, -np.inf, 0.0, np.inf, -np.inf])


@dataclass(eq=False)
class Archive:
    """One row a series, in the same order everywhere."""

    identities: Sequence[Identity]
    kept: SmallArray
    """[rows × FIELDS × slots]: a ring; slot number n stands in column n modulo slots."""
    unsettled: BoolArray
    """[rows × slots]: slots of an episode that goes on; they teach when it is over."""
    code: Code
    running: FloatArray
    """[7 × rows]: of the slot that runs: sum, count, lowest and highest mean of an hour, greatest surprise, smallest and
    largest value."""
    episode: FloatArray
    """[5 × rows]: began, calm since, odd since (Unix seconds, NaN for none), whether it settled, its kind."""
    last_seen: FloatArray
    """[rows]: Unix seconds of the last value."""
    slot: int = -1
    """The number of the slot that runs: Unix seconds over its length; -1 before the first value."""
    seen: float = -np.inf
    """Unix seconds of the newest instant taken in."""

    @classmethod
    def empty(cls, slots: int) -> Self:
        """Of no series."""
        return cls(
            identities=[],
            kept=np.empty((0, FIELDS, slots), np.float32),
            unsettled=np.empty((0, slots), np.bool_),
            code=Code.empty(0),
            running=blank_running(0),
            episode=np.empty((5, 0)),
            last_seen=np.empty(0),
        )

    def taken(self, identities: Sequence[Identity], rows: IntArray) -> Self:
        """The same for other series.

        Args:
            identities: of the series.
            rows: which row each has here; -1 for a new one.
        """
        new = np.flatnonzero(rows < 0)
        episode = _taken(self.episode.T, rows, np.nan).T
        episode[:, new] = _NO_EPISODE[:, None]
        running = _taken(self.running.T, rows, np.nan).T
        running[:, new] = blank_running(1)
        return type(self)(
            identities=identities,
            kept=_taken(self.kept, rows, np.nan),
            unsettled=_taken(self.unsettled, rows, False),
            code=Code(_taken(self.code.offset, rows, np.nan), _taken(self.code.scale, rows, 1.0)),
            running=running,
            episode=episode,
            last_seen=_taken(self.last_seen, rows, self.seen),
            slot=self.slot,
            seen=self.seen,
        )


def blank_episodes(rows: int) -> FloatArray:
    """[5 × rows]: no episode goes on."""
    return np.repeat(_NO_EPISODE[:, None], rows, axis=1)


def blank_running(rows: int) -> FloatArray:
    """[7 × rows]: nothing counted yet."""
    return np.repeat(_NOTHING_COUNTED[:, None], rows, axis=1)


def _taken(array: npt.NDArray[Any], rows: IntArray, otherwise: float | bool) -> npt.NDArray[Any]:
    """The rows of an array; `otherwise` for those numbered -1."""
    taken = np.full((len(rows), *array.shape[1:]), otherwise, dtype=array.dtype)
    known = rows >= 0
    taken[known] = array[rows[known]]
    return taken
