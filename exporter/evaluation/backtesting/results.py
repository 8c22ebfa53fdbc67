"""What a backtest found."""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.board import WatchStateName
from exporter.config.model import Watch
from exporter.evaluation.backtesting.pushes import Push
from exporter.evaluation.backtesting.thresholds import ThresholdRow
from exporter.evaluation.results import SeriesResult
from exporter.reasoning.verdict import Verdict


@dataclass(frozen=True, slots=True)
class SensitivityTable:
    """The thresholds at one sensitivity."""

    seconds: float
    present: bool
    """Whether it is the watch's own."""
    rows: tuple[ThresholdRow, ...]
    """By rising threshold."""

    @property
    def own(self) -> ThresholdRow:
        """The row of the watch's own threshold."""
        return next(row for row in self.rows if row.present)


@dataclass(frozen=True, eq=False)
class WatchResult:
    """One watch."""

    watch: Watch
    """As it was replayed."""
    notes: tuple[str, ...]
    """What was done otherwise than by the running program, in words."""
    series: int
    """How many were seen."""
    samples: int
    """How many values came, warm-up not counted."""
    screenings: int
    states: Mapping[WatchStateName, int]
    """How many screenings left the watch in which state."""
    tables: tuple[SensitivityTable, ...]
    """The watch's own sensitivity first; the others are the screen's alone."""
    pushes: tuple[Push, ...]
    """At the watch's own sensitivity and threshold."""
    verdicts: tuple[Verdict, ...]
    drawn: SeriesResult
    """What pictures are made from: each instant stands for a stretch of time, see `Columns`."""
    pictured: int
    """How many series it has; the rest came after there was no more room."""

    @property
    def table(self) -> SensitivityTable:
        """The watch's own."""
        return self.tables[0]


@dataclass(frozen=True, eq=False)
class Backtest:
    """All that one run of `lmwatch backtest` found."""

    source: str
    begin: float
    """Unix seconds."""
    end: float
    warm_up: float | None
    """Seconds of the past before `begin` that baselines were filled from; None: each watch's `history`."""
    model: str
    """As the user named it, without credentials."""
    pending: float
    """Seconds: `alerting.for`."""
    watches: tuple[WatchResult, ...]
    seconds: float
    """How long it took."""
    command: str
    """What the user typed, without credentials."""
    version: str

    @property
    def days(self) -> float:
        """How long the replayed time is."""
        return (self.end - self.begin) / 86400.0

    @property
    def speed(self) -> float:
        """How many times as fast as it happened, warm-up included in the time it took."""
        return (self.end - self.begin) / self.seconds
