"""Keeps the score of a demo: which planted anomalies were found by the combined score, and judged by the model. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from exporter.board import Board
from exporter.embedded.plan import Planted
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD

GRACE_SECONDS = 20.0
"""How long after its end an anomaly may still be noticed: it stays in the newest part of the window."""


@dataclass
class Outcome:
    """What became of one planted anomaly."""

    planted: Planted
    best_score: float = 0.0
    """The highest combined score of any series of its metric while it was there."""
    found_after: float | None = None
    """Seconds from its start to the first score at or above the boundary."""
    verdicts: list[Verdict] = field(default_factory=list)
    """Answers of the model about its metric while it was there."""

    @property
    def found(self) -> bool:
        """Whether the combined score crossed the boundary."""
        return self.found_after is not None

    @property
    def judged(self) -> bool:
        """Whether the model gave a readable answer about it."""
        return any(verdict.outcome in ("ok", "ungrounded") for verdict in self.verdicts)


class Scorekeeper:
    """Compares what the board and the verdicts say with what was planted.

    Args:
        planted: the planted anomalies; their times count from `began`.
        began: Unix seconds when the target's time began.
    """

    def __init__(self, planted: Sequence[Planted], began: float) -> None:
        self.outcomes = [Outcome(each) for each in planted]
        self._began = began
        self._announced = 0

    def begun(self, now: float) -> list[Planted]:
        """What has begun since this was asked last; `now` in Unix seconds."""
        begun = [each.planted for each in self.outcomes if each.planted.starts_after_seconds <= now - self._began]
        new = begun[self._announced :]
        self._announced = len(begun)
        return new

    def look(self, board: Board, now: float) -> list[Outcome]:
        """Take the board's scores of this moment (Unix seconds) into account; returns what was found only now."""
        newly = []
        for outcome in self._present(now):
            score = _best_score(board, outcome.planted.metric)
            outcome.best_score = max(outcome.best_score, score)
            if score >= THRESHOLD and not outcome.found:
                outcome.found_after = now - self._began - outcome.planted.starts_after_seconds
                newly.append(outcome)
        return newly

    def hear(self, verdict: Verdict) -> None:
        """Take a verdict into account."""
        for outcome in self._present(verdict.at):
            if any(_is_of(finding.series.name, outcome.planted.metric) for finding in verdict.findings):
                outcome.verdicts.append(verdict)

    def _present(self, now: float) -> list[Outcome]:
        elapsed = now - self._began
        return [
            outcome
            for outcome in self.outcomes
            if 0 <= elapsed - outcome.planted.starts_after_seconds <= outcome.planted.lasts_seconds + GRACE_SECONDS
        ]


def _is_of(series_name: str, metric: str) -> bool:
    return series_name == metric or series_name.startswith(f"{metric}_")


def _best_score(board: Board, metric: str) -> float:
    best = 0.0
    for picture in board.watches.values():
        for table in picture.tables:
            rows = [row for row, series in enumerate(table.series) if _is_of(series.name, metric)]
            if rows and not np.isnan(table.anomaly[rows]).all():
                best = max(best, float(np.nanmax(table.anomaly[rows])))
    return best
