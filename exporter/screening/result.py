"""What screening says about a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from exporter.series.frame import FloatArray, Frame, IntArray
from exporter.series.labels import Labels, Series

Kind = Literal["spike", "drop", "level_shift", "drift", "flatline", "missing", "oscillation", "seasonal_break"]
KINDS: tuple[Kind, ...] = (
    "spike",
    "drop",
    "level_shift",
    "drift",
    "flatline",
    "missing",
    "oscillation",
    "seasonal_break",
)
"""The order is the code: arrays of kinds hold indices into it, -1 for none."""

THRESHOLD = 0.5
"""The boundary of every score: from it on a series is anomalous."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One computed fact about one series, in words."""

    detector: str
    text: str
    """A plain sentence; every number in it is in `numbers`."""
    numbers: tuple[float, ...]
    score: float
    """0..1, what this detector alone would say."""


class Worded(Protocol):
    """What can say in words what the detectors saw in one series."""

    def describe(self, row: int) -> Sequence[Evidence]:
        """The evidence for the series in this row, in no order; none where there is nothing to say."""
        ...


@dataclass(frozen=True, eq=False)
class Window:
    """The newest values of one series."""

    times: FloatArray
    """[instants]: Unix seconds."""
    values: FloatArray
    """[instants]: NaN where there is no value."""
    interval: float
    """Seconds between instants."""


@dataclass(frozen=True, eq=False)
class ScreenResult:
    """Scores for each series of a frame. Words are made on demand, for the few series that need them."""

    frame: Frame
    score: FloatArray
    """[series]: 0..1; NaN while a series has too little history (warming)."""
    kind: npt.NDArray[np.int8]
    """[series]: index into KINDS of what it looks like most; -1 where the score is below THRESHOLD or NaN."""
    expected_lower: FloatArray
    """[series]: the band that the newest value was expected in, in the frame's units; NaN while warming."""
    expected_upper: FloatArray
    lasting: FloatArray
    """[series]: what the score would be if only what still goes on counted; NaN where there is no score."""
    apart_from_means: FloatArray
    """[series]: what the score would be if means of hours did not count, which know of an excursion for hours after it."""
    surprise: FloatArray
    """[series]: of the window's detectors of absence and course, in nats, whatever history says about it."""
    certain: npt.NDArray[np.bool_]
    """[series]: whether the newest values are outside the range that the user calls valid."""
    strangeness: FloatArray
    """[series]: what each adds to the oddness of its group (see `strange.strangeness`)."""
    worded: Worded

    def held(self, rows: IntArray) -> IntArray:
        """Of these rows those whose windows are here: all."""
        return rows

    def window(self, row: int) -> Window:
        """The values of a series that is held."""
        return Window(self.frame.times, self.frame.values[row], self.frame.interval)

    def evidence(self, row: int) -> tuple[Evidence, ...]:
        """Everything the detectors have to say about one series, the strongest first."""
        return tuple(sorted(self.worded.describe(row), key=lambda fact: -fact.score))


@dataclass(frozen=True, slots=True)
class Alarm:
    """One stretch of time in which the screen called a series anomalous."""

    began: float
    """Unix seconds of the first screening that did."""
    ended: float | None
    """Unix seconds of the first one that no longer did; None while it goes on."""
    kind: Kind | None
    """What it looked like last."""


@dataclass(frozen=True, eq=False)
class ScreenedSeries:
    """One series with all that is known of it before a model is asked."""

    series: Series
    description: str
    """The user's words about it, else the source's HELP."""
    times: FloatArray
    values: FloatArray
    interval: float
    score: float
    kind: Kind | None
    expected_lower: float
    expected_upper: float
    evidence: tuple[Evidence, ...]
    alarms: tuple[Alarm, ...] = ()
    """Those within the window, the oldest first, as far as they are remembered."""


@dataclass(frozen=True, eq=False)
class ScreenedGroup:
    """The part of a watch that one verdict covers, ranked by score, the highest first.

    `series` holds only the ones worth showing; `total` counts all of the group.
    """

    watch: str
    key: Labels
    series: tuple[ScreenedSeries, ...]
    total: int
    suspicious: int
    """How many of `total` score at or above the watch's threshold."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which rows of a frame belong to which group; worked out once for each set of series."""

    keys: tuple[Labels, ...]
    group: IntArray
    """[series]: index into `keys`."""
