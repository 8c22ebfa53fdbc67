"""What days of history say about the newest instant."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.screening.expected import HOURS, Expected
from exporter.screening.policy import BoolArray
from exporter.screening.slots import Code
from exporter.series.frame import FloatArray, IntArray

LEAST_SLOTS = 24
"""With fewer slots than this, history says nothing about a series."""
TRUSTED_DAYS = 10.0
"""A history of so many days is trusted in full."""


def trust_of(days: FloatArray) -> FloatArray:
    """How much it says after so many days that something was never seen before, 0..1: the less was seen, the less.

    Of n + 1 days that are alike the newest is the highest with a chance of 1 / (n + 1). So the trust grows with n + 1, up to
    1: chosen on two-week pieces of labelled series (docs/evaluation.md).
    """
    trust: FloatArray = np.minimum((days + 1.0) / (TRUSTED_DAYS + 1.0), 1.0)
    return trust


@dataclass(frozen=True, eq=False)
class Past:
    """What history says about the newest instant of a frame's series; arrays as long as the frame has series."""

    expected: Expected
    code: Code
    means: FloatArray
    """[hours × rows]: the means of the last hours, in the series' code; NaN where too little is known."""
    season_low: FloatArray
    """[rows]: of the hourly means at this time of the day; NaN where that is not known."""
    season_high: FloatArray
    days: FloatArray
    """[rows]: how many days taught it."""
    slot_hours: float
    """How many hours each hour of `HOURS` really is: more than 1 where the interval is longer than an hour."""

    @property
    def ready(self) -> BoolArray:
        """[rows]: whether enough is known to judge by."""
        ready: BoolArray = self.expected.count >= LEAST_SLOTS
        return ready

    @property
    def trust(self) -> FloatArray:
        """[rows]: how much it says that something was never seen before, as `trust_of` has it."""
        return trust_of(self.days)

    def rows(self, which: slice | IntArray) -> Self:
        """What is known of some of the series."""
        return type(self)(
            expected=self.expected.rows(which),
            code=self.code.rows(which),
            means=self.means[:, which],
            season_low=self.season_low[which],
            season_high=self.season_high[which],
            days=self.days[which],
            slot_hours=self.slot_hours,
        )

    @classmethod
    def none(cls, rows: int) -> Self:
        """Nothing is remembered."""
        nothing = np.full(rows, np.nan)
        return cls(
            expected=Expected.empty(rows),
            code=Code.empty(rows),
            means=np.full((len(HOURS), rows), np.nan),
            season_low=nothing,
            season_high=nothing,
            days=np.zeros(rows),
            slot_hours=1.0,
        )
