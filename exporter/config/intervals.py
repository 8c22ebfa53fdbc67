"""Times that come again, like nights and weekends, in the shape of Alertmanager's `time_intervals`.

Source: `time_interval` in Alertmanager's configuration documentation. What it allows means the same here, but for two
things that are refused: `location: Local`, and an interval that matches always because it names nothing. Beyond it,
ranges of times may cross midnight, ranges of weekdays and months may cross the end of the week and of the year, names
may be shortened to three letters, and an interval can be one line of text: `mon-fri 22:00-06:00 Europe/Berlin`.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from exporter.config.base import Section
from exporter.config.spans import (
    DAY_MINUTES,
    DayOfMonthRange,
    Location,
    MonthRange,
    Span,
    TimeOfDay,
    WeekdayRange,
    YearRange,
    from_start,
    minute_of_day,
    time_zone,
    utc,
    weekday_range,
)

_IN_WORDS = re.compile(
    r"(?:(?P<weekdays>[A-Za-z][A-Za-z,:-]*) +)?(?P<start>[0-9:]+) *- *(?P<end>[0-9:]+)(?: +(?P<location>\S+))?"
)


class TimeRange(Section):
    """A part of the day, by the clock on the wall. One that ends before it begins crosses midnight."""

    start_time: TimeOfDay
    end_time: TimeOfDay
    """The first minute that is outside."""

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.start_time == self.end_time:
            raise ValueError("start_time and end_time are the same: the whole day is 00:00 to 24:00")
        if self.start_time == DAY_MINUTES:
            raise ValueError("start_time cannot be 24:00: that is the end of a day, the next begins at 00:00")
        return self

    def begun(self, minute: int) -> bool:
        """Whether the range of the same day holds this minute of the day."""
        return self.start_time <= minute and (minute < self.end_time or self._crosses)

    def left_over(self, minute: int) -> bool:
        """Whether the range of the day before holds this minute of the day."""
        return self._crosses and minute < self.end_time

    @property
    def _crosses(self) -> bool:
        return self.end_time < self.start_time


class TimeInterval(Section):
    """Times that come again. Of each key that is given one entry has to match, and every key has to."""

    times: list[TimeRange] = Field(default_factory=list)
    """Those that cross midnight belong to the day on which they begin."""
    weekdays: list[WeekdayRange] = Field(default_factory=list)
    days_of_month: list[DayOfMonthRange] = Field(default_factory=list)
    months: list[MonthRange] = Field(default_factory=list)
    years: list[YearRange] = Field(default_factory=list)
    location: Location = Field(default_factory=utc)
    """Whose clocks and calendar count."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if not (self.times or self.weekdays or self.days_of_month or self.months or self.years):
            raise ValueError("matches always: give at least one of times, weekdays, days_of_month, months and years")
        return self

    def holds(self, time: float) -> bool:
        """Whether an instant lies within.

        A local time that summer time skips lies within nothing; one that comes twice counts both times.

        Args:
            time: Unix seconds.
        """
        local = datetime.fromtimestamp(time, self.location)
        minute, today = local.hour * 60 + local.minute, local.date()
        if not self.times:
            return self._on(today)
        if any(part.begun(minute) for part in self.times) and self._on(today):
            return True
        return any(part.left_over(minute) for part in self.times) and self._on(today - timedelta(days=1))

    def _on(self, day: date) -> bool:
        days = monthrange(day.year, day.month)[1]
        return (
            _any_of(self.weekdays, lambda span: _in_cycle(day.weekday(), span, 7))
            and _any_of(
                self.days_of_month,
                lambda span: from_start(span.first, days) <= day.day <= from_start(span.last, days),
            )
            and _any_of(self.months, lambda span: _in_cycle(day.month, span, 12))
            and _any_of(self.years, lambda span: span.first <= day.year <= span.last)
        )


def _any_of(spans: Sequence[Span], matches: Callable[[Span], bool]) -> bool:
    return not spans or any(matches(span) for span in spans)


def _in_cycle(value: int, span: Span, length: int) -> bool:
    """Whether a value lies in a span that may go over the end of a cycle, as from Friday to Monday."""
    return (value - span.first) % length <= (span.last - span.first) % length


def _in_words(value: Any) -> Any:
    """An interval that is written as one line of text, as the mapping that means the same."""
    if not isinstance(value, str):
        return value
    match = _IN_WORDS.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is no interval: write it like 02:00-04:30 or mon-fri 22:00-06:00 Europe/Berlin")
    weekdays = match["weekdays"].split(",") if match["weekdays"] else []
    # Checked here too, so that a mistake is not reported under a key that does not stand in the file.
    for time in (match["start"], match["end"]):
        minute_of_day(time)
    for days in weekdays:
        weekday_range(days)
    times = [{"start_time": match["start"], "end_time": match["end"]}]
    location = {"location": time_zone(match["location"])} if match["location"] else {}
    return {"times": times, "weekdays": weekdays, **location}


QuietHours = list[Annotated[TimeInterval, BeforeValidator(_in_words)]]
"""It is quiet while any of the intervals holds."""
