"""Times, shares and figures of an evaluation in words."""

import math
from datetime import UTC, datetime

from exporter.evaluation.results import finite

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_COUNTED_BEFORE = 3652 * _DAY
"""Earlier than 1980 nobody kept metrics: such a time is counted from the beginning of the data."""
_STEPS = (
    *(1.0, 5.0, 15.0, 30.0),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 7, 14, 28, 91, 364)),
)


NOTHING = "-"
"""Stands where there is no figure."""


def figure(value: float | None, places: int = 2) -> str:
    """A number with so many decimal places."""
    known = finite(value)
    return NOTHING if known is None else f"{known:.{places}f}"


def share(value: float | None, places: int = 0) -> str:
    """A share in percent."""
    known = finite(value)
    return NOTHING if known is None else f"{known * 100:.{places}f} %"


def moment(at: float) -> str:
    """A time to the minute, in UTC: `2014-04-10 07:15`, or `day 3, 07:15` in data without dates."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{_day(at)}, {when:%H:%M}" if at < _COUNTED_BEFORE else f"{when:%Y-%m-%d %H:%M}"


def ticks(first: float, last: float, most: int) -> list[tuple[float, str]]:
    """Round times for an axis, with what is written below each; the date where it is another than before.

    Args:
        first: Unix seconds.
        last: Unix seconds.
        most: how many fit, about; at least 1.
    """
    if not last > first:
        return [(first, moment(first))]
    wanted = (last - first) / most
    step = next((step for step in _STEPS if step >= wanted), _STEPS[-1] * math.ceil(wanted / _STEPS[-1]))
    found: list[tuple[float, str]] = []
    shown_day = ""
    for count in range(math.ceil(first / step), math.floor(last / step) + 1):
        at = count * step
        day, when = _day(at), datetime.fromtimestamp(at, UTC)
        clock = f"{when:%H:%M}" if step >= _MINUTE else f"{when:%H:%M:%S}"
        found.append((at, day if step >= _DAY else clock if day == shown_day else f"{day} {clock}"))
        shown_day = day
    return found


def _day(at: float) -> str:
    if at < _COUNTED_BEFORE:
        return f"day {math.floor(at / _DAY) + 1}"
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%b}"
