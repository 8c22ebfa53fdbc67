"""Parts of a day, a week, a month and a year, and time zones: the words of which intervals are made."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, PlainSerializer

from exporter.config.similar import nearest, suggestion

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""In the order of `date.weekday`."""
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
DAY_MINUTES = 24 * 60
"""Minutes of a day without a change of the clocks."""
_LONGEST_MONTH = 31
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last, both included."""

    first: int
    last: int


def minute_of_day(value: Any) -> int:
    """Minutes since midnight of a time like `02:00`.

    Raises:
        ValueError: it is no text like that, between `00:00` and `24:00`.
    """
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        near = str(value).zfill(5)
        meant = f", did you mean {near}?" if _TIME.fullmatch(near) else ": write it like 02:00 or 22:30"
        raise ValueError(f"{value!r} is no time of day{meant}")
    return int(match[1]) * 60 + int(match[2]) if match[1] else DAY_MINUTES


def _format_minute(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _ends(value: Any, separator: str, like: str) -> tuple[str, str]:
    """The two ends of a range as lower-case texts; a single value is both."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    parts = re.split(separator, text.lower()) if isinstance(text, str) else []
    if len(parts) not in (1, 2):
        raise ValueError(f"write one or a range, like {like}")
    return parts[0].strip(), parts[-1].strip()


def _place(name: str, names: Sequence[str], noun: str, all_are: str) -> int:
    """Where a name, or its first three letters, stands among the names."""
    for place, known in enumerate(names):
        if name in (known, known[:3]):
            return place
    raise ValueError(f"{name!r} is no {noun}{suggestion(name, names, noun=all_are)}")


def weekday_range(value: Any) -> Span:
    """Days of the week, 0 for Monday, of a text like `sunday`, `monday:friday` or `mon-fri`.

    Raises:
        ValueError: it is no such text; says which days there are.
    """
    ends = _ends(value, "[:-]", "sunday or monday:friday")
    return Span(*(_place(end, _WEEKDAYS, "day of the week", "days are") for end in ends))


def _month(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,2}", text):
        if not 1 <= int(text) <= len(_MONTHS):
            raise ValueError(f"{text} is no month: they count from 1 to 12")
        return int(text)
    return _place(text, _MONTHS, "month", "months are") + 1


def _months(value: Any) -> Span:
    return Span(*(_month(end) for end in _ends(value, "[:-]", "december, january:march or 1:3")))


def _day_of_month(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,2}", text) or not 1 <= abs(int(text)) <= _LONGEST_MONTH:
        raise ValueError(f"{text!r} is no day of the month: they are 1 to 31, or -1 to -31 from the end")
    return int(text)


def _days_of_month(value: Any) -> Span:
    first, last = (_day_of_month(end) for end in _ends(value, ":", "15, 1:5 or -3:-1"))
    if first < 0 < last:
        raise ValueError(f"a range cannot go over the end of the month: write two, {first}:-1 and 1:{last}")
    if from_start(first, _LONGEST_MONTH) > from_start(last, _LONGEST_MONTH):
        raise ValueError(f"day {last} is always before day {first}")
    return Span(first, last)


def from_start(day: int, days: int) -> int:
    """The number of a day, in a month of so many days, that may be counted from the end."""
    return day if day > 0 else days + day + 1


def _years(value: Any) -> Span:
    ends = _ends(value, ":", "2027 or 2027:2030")
    if not all(re.fullmatch(r"[0-9]{4}", end) for end in ends):
        raise ValueError("write a year, or a range of them, with four digits: 2027 or 2027:2030")
    span = Span(int(ends[0]), int(ends[1]))
    if span.first > span.last:
        raise ValueError(f"year {span.last} is before year {span.first}")
    return span


def time_zone(value: Any) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        ValueError: there is none of this name; says which one was probably meant.
    """
    if isinstance(value, ZoneInfo):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("write the name of a time zone, like Europe/Berlin")
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {value!r}{_zone_meant(value)}") from None


def _zone_meant(name: str) -> str:
    zones = sorted(available_timezones())
    if not zones:
        return ": this machine has no time zone database, install the package tzdata"
    cities = {zone.rpartition("/")[2]: zone for zone in zones}
    near = nearest(name, zones) or cities.get(nearest(name, cities) or "")
    return f", did you mean {near}?" if near else "; write one like UTC or Europe/Berlin"


def utc() -> ZoneInfo:
    """The time zone of whoever names none."""
    return ZoneInfo("UTC")


def _written_as(name: Callable[[int], str]) -> PlainSerializer:
    """How a range is written, given how one of its ends is."""

    def write(span: Span) -> str:
        return name(span.first) if span.first == span.last else f"{name(span.first)}:{name(span.last)}"

    return PlainSerializer(write, return_type=str)


TimeOfDay = Annotated[int, BeforeValidator(minute_of_day), PlainSerializer(_format_minute, return_type=str)]
"""Minutes since midnight; written `HH:MM`, to `24:00`."""
WeekdayRange = Annotated[Span, BeforeValidator(weekday_range), _written_as(_WEEKDAYS.__getitem__)]
"""0 is Monday; the last may stand before the first."""
MonthRange = Annotated[Span, BeforeValidator(_months), _written_as(lambda month: _MONTHS[month - 1])]
"""1 is January; the last may stand before the first."""
DayOfMonthRange = Annotated[Span, BeforeValidator(_days_of_month), _written_as(str)]
"""1 is the first day of the month, -1 its last."""
YearRange = Annotated[Span, BeforeValidator(_years), _written_as(str)]
Location = Annotated[ZoneInfo, BeforeValidator(time_zone), PlainSerializer(str, return_type=str)]
"""A time zone by its IANA name."""
