"""Intervals against a plain way to work out the same: painting minutes onto the wall, day by day."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.intervals import TimeInterval
from exporter.config.load import parse_config, redacted_yaml

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MONTHS = [
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
]


def names_of(values):
    """Strategy: a name or a range of names as text, and the set of those that it names."""

    def named(ends):
        first, last = ends
        count = (last - first) % len(values) + 1
        members = {values[(first + step) % len(values)] for step in range(count)}
        return (values[first] if first == last else f"{values[first]}:{values[last]}"), members

    place = st.integers(0, len(values) - 1)
    return st.tuples(place, place).map(named)


DAY_SPANS = st.one_of(
    st.tuples(st.integers(1, 31), st.integers(1, 31)).map(sorted),
    st.tuples(st.integers(-31, -1), st.integers(-31, -1)).map(sorted),
    st.tuples(st.integers(1, 31), st.integers(-31, -1)).filter(lambda ends: ends[0] <= ends[1] + 32),
).map(tuple)
TIME_SPANS = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda ends: ends[0] != ends[1])
INTERVALS = st.fixed_dictionaries(
    {
        "times": st.lists(TIME_SPANS, max_size=2),
        "weekdays": st.lists(names_of(DAYS), max_size=2),
        "days_of_month": st.lists(DAY_SPANS, max_size=2),
        "months": st.lists(names_of(MONTHS), max_size=1),
        "years": st.lists(st.tuples(st.integers(2010, 2028), st.integers(2010, 2028)).map(sorted), max_size=1),
        "location": st.sampled_from(
            ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
        ),
    }
).filter(lambda drawn: any(drawn[key] for key in drawn if key != "location"))
# Changes of the clocks, ends of months and of a year, and the day that Samoa left out (2011-12-30).
FIRST_DAYS = st.sampled_from(
    ["2027-03-27", "2027-03-13", "2026-10-24", "2026-10-31", "2027-04-03", "2028-02-28", "2026-12-31", "2011-12-29"]
).map(date.fromisoformat)


def as_text(minute):
    return f"{minute // 60:02}:{minute % 60:02}"


def as_written(drawn):
    return {
        "times": [{"start_time": as_text(start), "end_time": as_text(end)} for start, end in drawn["times"]],
        "weekdays": [text for text, _ in drawn["weekdays"]],
        "days_of_month": [f"{first}:{last}" for first, last in drawn["days_of_month"]],
        "months": [text for text, _ in drawn["months"]],
        "years": [f"{first}:{last}" for first, last in drawn["years"]],
        "location": drawn["location"],
    }


def day_matches(drawn, day):
    numbers = {day.day, day.day - monthrange(day.year, day.month)[1] - 1}
    both = [
        any(first <= number <= last for number in numbers if (number > 0) == (first > 0))
        if (first > 0) == (last > 0)
        else first <= max(numbers) and min(numbers) <= last
        for first, last in drawn["days_of_month"]
    ]
    return all(
        not found or any(found)
        for found in (
            both,
            [DAYS[day.weekday()] in members for _, members in drawn["weekdays"]],
            [MONTHS[day.month - 1] in members for _, members in drawn["months"]],
            [first <= day.year <= last for first, last in drawn["years"]],
        )
    )


def painted(drawn, first, days):
    """All minutes on the wall, as local times without a zone, that the interval paints from the day before on."""
    found = set()
    for number in range(-1, days + 2):
        day = first + timedelta(days=number)
        if day_matches(drawn, day):
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - what the wall shows has no zone
            for start, end in drawn["times"] or [(0, 1440)]:
                length = end - start if end > start else end + 1440 - start
                found.update(midnight + timedelta(minutes=start + minute) for minute in range(length))
    return found


@settings(max_examples=60)
@given(drawn=INTERVALS, first=FIRST_DAYS)
def test_an_interval_holds_in_the_minutes_that_painting_day_by_day_gives(drawn, first):
    """Painting goes from days and ranges to minutes; the interval is asked from the instant."""
    each, zone = TimeInterval.model_validate(as_written(drawn)), ZoneInfo(drawn["location"])
    wall = painted(drawn, first, 3)
    start = datetime(first.year, first.month, first.day, 12, tzinfo=UTC).timestamp()
    for instant in range(int(start), int(start) + 36 * 3600, 60):
        local = datetime.fromtimestamp(instant, zone).replace(tzinfo=None)
        assert each.holds(instant + 59.9) == each.holds(instant) == (local in wall), local


@given(st.lists(INTERVALS.map(as_written), max_size=3), st.none() | st.lists(INTERVALS.map(as_written), max_size=2))
def test_a_printed_configuration_is_read_back_with_the_same_intervals(of_watch, of_entry):
    entry = {"series": "up"} if of_entry is None else {"series": "up", "quiet_hours": of_entry}
    text = yaml.safe_dump(
        {
            "sources": [{"name": "a", "scrape": {"targets": ["127.0.0.1:9100"]}}],
            "watches": [{"name": "b", "source": "a", "quiet_hours": of_watch, "select": [entry]}],
        }
    )
    config = parse_config(text, file="x", directory=Path(), environ={})
    again = parse_config(redacted_yaml(config), file="x", directory=Path(), environ={})
    assert again.watches == config.watches
    assert len(config.watches[0].quiet_hours) == len(of_watch)
