"""How many alerts a day there would have been at which threshold. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.evaluation.backtesting.pushes import Push

GRID: Final = tuple(round(0.05 * step, 2) for step in range(6, 20))
"""0.3, 0.35, … 0.95."""
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """What one threshold would have led to."""

    threshold: float
    present: bool
    """Whether it is the watch's own."""
    alerts: int
    """Each from its first push until it is resolved counts once, however high it rises."""
    critical: int
    """How many of them were critical at some time."""
    subjects: int
    """How many different series and groups they were about."""
    alerts_per_day: float
    alarm_share: float
    """Share of the time in which at least one fired."""
    longest_seconds: float
    """Of the alert that fired longest; 0 where there was none."""


def thresholds_for(own: float) -> tuple[float, ...]:
    """The thresholds of the table, in rising order, with the watch's own among them."""
    return tuple(sorted({*GRID, own}))


def threshold_row(threshold: float, own: float, pushes: Sequence[Push], begin: float, end: float) -> ThresholdRow:
    """What the alerts at one threshold add up to.

    Args:
        threshold: it.
        own: the watch's.
        pushes: its alerts.
        begin: Unix seconds of the first screening that counts.
        end: of the last, later.
    """
    spans = [(push.fired_at, end if push.resolved_at is None else push.resolved_at) for push in pushes]
    return ThresholdRow(
        threshold=threshold,
        present=threshold == own,
        alerts=len(pushes),
        critical=sum(push.severity == "critical" for push in pushes),
        subjects=len({push.subject for push in pushes}),
        alerts_per_day=len(pushes) / (end - begin) * _DAY,
        alarm_share=covered(spans) / (end - begin),
        longest_seconds=max((last - first for first, last in spans), default=0.0),
    )


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds that lie in at least one of these spans of time."""
    total, reached = 0.0, -float("inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, reached))
        reached = max(reached, last)
    return total
