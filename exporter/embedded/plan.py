"""What is planted in the demo target, and when: known beforehand, so that finding it can be scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

AnomalyKind = Literal["spike", "drop", "leak", "flatline"]

_SPIKE_FACTOR = 6.0
_DROP_FACTOR = 0.08
_LEAK_GROWTH = 2.5
"""What a leak has added at its end, as a multiple of the ordinary value."""

_SHORTEST_CYCLE_SECONDS = 168.0
_LONGEST_CYCLE_SECONDS = 600.0
_SCHEDULE: tuple[tuple[AnomalyKind, str, float, float, str], ...] = (
    ("spike", "shop_queue_length", 0.03, 24.0, "the order queue jumps to about six times its usual length"),
    ("leak", "shop_heap_bytes", 0.22, 42.0, "the heap grows steadily to more than three times its usual size"),
    ("flatline", "shop_sessions", 0.52, 30.0, "the number of sessions freezes at one value, as a dead collector reports it"),
    ("drop", "shop_orders_total", 0.76, 26.0, "orders all but stop while visitors keep coming"),
)  # fmt: skip
"""Kind, metric, start as a part of the cycle, seconds in the shortest cycle that is not squeezed, words."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One anomaly: what it does to which metric, and when, counted from the start of the target."""

    kind: AnomalyKind
    metric: str
    starts_after_seconds: float
    lasts_seconds: float
    description: str

    @property
    def ends_after_seconds(self) -> float:
        """When it is over."""
        return self.starts_after_seconds + self.lasts_seconds

    def active(self, elapsed: float) -> bool:
        """Whether it is there so many seconds after the start."""
        return self.starts_after_seconds <= elapsed < self.ends_after_seconds

    def factor(self, elapsed: float) -> float:
        """What it multiplies the usual value with. A flatline makes a rate 0; a gauge is held instead."""
        if self.kind == "spike":
            return _SPIKE_FACTOR
        if self.kind == "drop":
            return _DROP_FACTOR
        if self.kind == "leak":
            return 1 + _LEAK_GROWTH * (elapsed - self.starts_after_seconds) / self.lasts_seconds
        return 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is planted."""

    planted: tuple[Planted, ...] = ()

    def active(self, elapsed: float) -> tuple[Planted, ...]:
        """What is there so many seconds after the start."""
        return tuple(each for each in self.planted if each.active(elapsed))

    def on(self, metric: str, elapsed: float) -> Planted | None:
        """What is there for a metric; the first if several are."""
        return next((each for each in self.planted if each.metric == metric and each.active(elapsed)), None)


def plan_default(duration: float, *, warm_up: float | None = None) -> Plan:
    """A spike, a leak, a flatline and a drop, one after the other; again and again in a long demo.

    Args:
        duration: seconds that the demo lasts.
        warm_up: seconds without anomalies first; None means 30 % of the duration, at most 80 s and, if the demo lasts
            two minutes or more, at least 60 s.

    Returns:
        the plan; anomalies never overlap, and in a demo of four minutes all four are over before its end.
    """
    if warm_up is None:
        warm_up = min(80.0, 0.3 * duration) if duration < 120 else min(80.0, max(60.0, 0.3 * duration))
    rest = max(0.0, duration - warm_up)
    cycles = max(1, round(rest / _LONGEST_CYCLE_SECONDS))
    cycle = rest / cycles
    return Plan(tuple(each for number in range(cycles) for each in _cycle(warm_up + number * cycle, cycle)))


def _cycle(begins: float, length: float) -> Sequence[Planted]:
    squeeze = min(1.0, length / _SHORTEST_CYCLE_SECONDS)
    return [
        Planted(kind, metric, begins + start * length, lasts * squeeze, words)
        for kind, metric, start, lasts, words in _SCHEDULE
    ]
