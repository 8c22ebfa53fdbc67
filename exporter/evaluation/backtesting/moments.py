"""Moments as people type them: `now`, `-7d`, `2026-11-20T08:00:00Z`, `1764191917`."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.config.durations import parse_duration

_EXAMPLES = "write now, -7d, 2026-11-20T08:00:00Z or Unix seconds"
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, fixed or counted from now."""

    seconds: float
    """Unix seconds, or seconds after now where it is relative."""
    relative: bool

    def at(self, now: float) -> float:
        """Unix seconds."""
        return now + self.seconds if self.relative else self.seconds


def parse_moment(text: str) -> Moment:
    """Read `now`, a duration before now (`-7d`, `now-7d`), RFC 3339 with its zone, or Unix seconds.

    Raises:
        ValueError: it is nothing of that; says what to write.
    """
    if text == "now":
        return Moment(0.0, relative=True)
    back = text.removeprefix("now")
    if back.startswith("-"):
        try:
            return Moment(-parse_duration(back[1:]), relative=True)
        except ValueError as error:
            raise ValueError(f"{text!r} is no moment: {error}") from None
    try:
        return Moment(_unix(text), relative=False)
    except ValueError:
        return Moment(_dated(text), relative=False)


def _unix(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and 0 <= seconds < _LATEST):
        raise ValueError(text)
    return seconds


def _dated(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; {_EXAMPLES}") from None
    if when.tzinfo is None:
        raise ValueError(f"{text!r} does not say in which zone; append Z for UTC, or an offset like +01:00")
    seconds = when.timestamp()
    if seconds < 0:
        raise ValueError(f"{text!r} is before 1970")
    return seconds
