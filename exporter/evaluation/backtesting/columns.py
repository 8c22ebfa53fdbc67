"""What pictures are drawn from: of each stretch of time, every series as it was when it was oddest.

However long a replay is, it takes the same memory: `MOST_STRETCHES` columns of five figures a series, 20 kB.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from exporter.board import ScoreTable, WatchPicture
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Labels, Series

MOST_STRETCHES: Final = 1000
"""About as many as a picture has pixels."""
MOST_SERIES: Final = 5000
"""Series that come later are judged like all others, and have no picture."""
_FIGURES: Final = 5
_COMBINED, _SCREEN, _VALUE, _LOWER, _UPPER = range(_FIGURES)


class Columns:
    """Takes in pictures; all arrays are [series × stretches].

    Args:
        begin: Unix seconds of the first screening.
        end: of the last.
        step: seconds between screenings.

    Attributes:
        width: seconds a stretch.
        times: [stretches]: Unix seconds of their ends.
        series: in the order in which they came.
        score: [stretches]: the highest score of any series, and of any group as a whole; NaN where there is none.
        left_out: how many series have no columns.
    """

    def __init__(self, begin: float, end: float, step: float) -> None:
        screenings = round((end - begin) / step) + 1
        each = math.ceil(screenings / MOST_STRETCHES)
        self.width = each * step
        stretches = np.arange(math.ceil(screenings / each), dtype=np.float64)
        self.times: FloatArray = begin + self.width * stretches + (each - 1) * step
        self.series: list[Series] = []
        self.score: FloatArray = np.full(self.times.size, np.nan)
        self.left_out = 0
        self._begin = begin
        self._rows: dict[tuple[str, Labels], int] = {}
        self._known: dict[str, tuple[tuple[Series, ...], IntArray, IntArray]] = {}
        self._figures: npt.NDArray[np.float32] = np.full((_FIGURES, 0, self.times.size), np.nan, dtype=np.float32)

    def add(self, picture: WatchPicture, at: float) -> None:
        """Take in the picture of a screening (Unix seconds)."""
        stretch = min(int((at - self._begin) // self.width), self.times.size - 1)
        for table in picture.tables:
            own, rows = self._rows_of(table)
            score = table.anomaly[own]
            before = self._figures[_COMBINED, rows, stretch]
            odder = np.isnan(before) | (score > before)
            columns = (table.anomaly, table.screen, table.value, table.expected_lower, table.expected_upper)
            with np.errstate(over="ignore"):
                for figure, column in enumerate(columns):
                    self._figures[figure, rows[odder], stretch] = column[own][odder]
            if not np.isnan(table.anomaly).all():
                self.score[stretch] = np.fmax(self.score[stretch], np.nanmax(table.anomaly))
        highest = max(picture.standings.values(), default=math.nan)
        self.score[stretch] = np.fmax(self.score[stretch], highest)

    def combined(self) -> FloatArray:
        """Scores of screen and model together."""
        return self._column(_COMBINED)

    def screen(self) -> FloatArray:
        """Scores of the screen alone, at the same moments."""
        return self._column(_SCREEN)

    def values(self) -> FloatArray:
        """Values, at the same moments."""
        return self._column(_VALUE)

    def lower(self) -> FloatArray:
        """Where values were expected, at the same moments: the lower edge."""
        return self._column(_LOWER)

    def upper(self) -> FloatArray:
        """The upper edge."""
        return self._column(_UPPER)

    def _column(self, figure: int) -> FloatArray:
        return self._figures[figure, : len(self.series)].astype(np.float64)

    def _rows_of(self, table: ScoreTable) -> tuple[IntArray, IntArray]:
        """Which rows of a table have columns, and where those are."""
        known = self._known.get(table.target)
        if known is not None and known[0] is table.series:
            return known[1], known[2]
        rows = np.array([self._row(series) for series in table.series], dtype=np.intp)
        own = np.flatnonzero(rows >= 0)
        self._known[table.target] = (table.series, own, rows[own])
        return own, rows[own]

    def _row(self, series: Series) -> int:
        """The row of a series, made where there is none yet; -1 where there is no room."""
        key = (series.name, series.labels)
        row = self._rows.get(key)
        if row is not None:
            return row
        if len(self.series) >= MOST_SERIES:
            self.left_out += 1
            self._rows[key] = -1
            return -1
        row = self._rows[key] = len(self.series)
        self.series.append(series)
        room = self._figures.shape[1]
        if row >= room:
            more = np.full((_FIGURES, max(16, room), self.times.size), np.nan, dtype=np.float32)
            self._figures = np.concatenate([self._figures, more], axis=1)
        return row
