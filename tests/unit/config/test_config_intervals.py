"""Intervals hold when Alertmanager's `time_intervals` do, by the clocks of their own place."""

from calendar import monthrange
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from exporter.config import spans
from exporter.config.intervals import QuietHours
from exporter.config.load import parse_config

QUIET_HOURS = TypeAdapter(QuietHours)
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WATCH = """
sources: [{{name: a, scrape: {{targets: ["127.0.0.1:9100"]}}}}]
watches:
  - name: b
    source: a
    {watch}
    select:
      - up
      - {{series: node_load1, {selection}}}
"""


def interval(written):
    """The interval of a mapping or of a line of text."""
    return QUIET_HOURS.validate_python([written])[0]


def holds(written, *moments):
    """Whether the interval holds at times in ISO 8601; without an offset they are in UTC."""
    parsed = [datetime.fromisoformat(moment) for moment in moments]
    instants = [(each if each.tzinfo else each.replace(tzinfo=UTC)).timestamp() for each in parsed]
    return [interval(written).holds(instant) for instant in instants]


def watch(selection="unit: s", **keys):
    lines = "\n    ".join(f"{key}: {value}" for key, value in keys.items())
    text = WATCH.format(watch=lines, selection=selection)
    return parse_config(text, file="lmwatch.yml", directory=Path(), environ={}).watches[0]


def minutes_held(written, first, days):
    """How many minutes of some days, from the beginning of the first in UTC, lie within."""
    start = datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()
    each = interval(written)
    return sum(each.holds(start + 60 * minute) for minute in range(days * 24 * 60))


def test_a_range_of_times_includes_its_start_and_excludes_its_end():
    written = {"times": [{"start_time": "02:00", "end_time": "04:30"}]}
    moments = ["01:59:59.999", "02:00:00", "04:29:59.999", "04:30:00"]
    assert holds(written, *(f"2027-05-05T{moment}" for moment in moments)) == [False, True, True, False]


def test_24_00_is_the_end_of_the_day():
    written = {"times": [{"start_time": "23:00", "end_time": "24:00"}]}
    moments = ["2027-05-05T22:59", "2027-05-05T23:00", "2027-05-05T23:59:59.999", "2027-05-06T00:00"]
    assert holds(written, *moments) == [False, True, True, False]
    assert minutes_held("00:00-24:00", "2027-05-05", 2) == 2 * 24 * 60


def test_without_a_location_times_are_in_utc():
    assert holds("12:00-13:00", "2027-07-01T12:30+00:00", "2027-07-01T12:30+02:00") == [True, False]


def test_days_begin_at_midnight_of_the_location():
    written = {"weekdays": ["sunday"], "location": "Australia/Sydney"}
    assert holds(written, "2027-07-04T00:00+10:00", "2027-07-03T23:59+10:00", "2027-07-04T14:30") == [
        True,
        False,
        False,
    ]


def test_every_list_has_to_match_and_one_entry_of_each_is_enough():
    written = {
        "times": [{"start_time": "02:00", "end_time": "03:00"}, {"start_time": "05:00", "end_time": "06:00"}],
        "weekdays": ["monday:wednesday", "sunday"],
        "days_of_month": ["1:7"],
        "months": ["may", "8"],
        "years": ["2026:2028"],
    }
    matching = ["2027-05-02T02:30", "2027-05-03T05:30", "2027-08-01T05:00"]
    other = ["2027-05-02T04:00", "2027-05-06T02:30", "2027-05-10T02:30", "2027-06-06T02:30", "2029-05-02T02:30"]
    assert holds(written, *matching, *other) == [True] * 3 + [False] * 5


@pytest.mark.parametrize(
    ("days", "month", "held"),
    [
        ("-3:-1", "2027-02", [26, 27, 28]),
        ("-3:-1", "2028-02", [27, 28, 29]),
        ("-1", "2027-04", [30]),
        ("29:31", "2027-02", []),
        ("27:-2", "2027-02", [27]),
        ("29:-1", "2027-02", []),
        ("-31:-30", "2027-05", [1, 2]),
        ("-31:-30", "2027-06", [1]),
        (15, "2027-06", [15]),
    ],
)
def test_days_of_the_month_count_from_its_start_or_from_its_end(days, month, held):
    year, number = (int(part) for part in month.split("-"))
    all_days = range(1, monthrange(year, number)[1] + 1)
    each = interval({"days_of_month": [days]})
    assert [day for day in all_days if each.holds(datetime(year, number, day, 12, tzinfo=UTC).timestamp())] == held


def test_ranges_of_days_and_months_may_go_over_the_end_of_the_week_and_of_the_year():
    assert holds({"weekdays": ["friday:monday"]}, *(f"2027-05-{day:02}" for day in range(3, 10))) == [
        day in ("monday", "friday", "saturday", "sunday") for day in DAYS
    ]
    assert holds({"months": ["november:2"]}, *(f"2027-{month:02}-15" for month in range(1, 13))) == [
        month in (11, 12, 1, 2) for month in range(1, 13)
    ]


def test_a_range_that_crosses_midnight_belongs_to_the_day_on_which_it_begins():
    """Friday's ends on Saturday at 6; Sunday has none that Monday morning could belong to."""
    moments = {
        "2027-05-03T05:59": False,
        "2027-05-03T22:00": True,
        "2027-05-04T05:59": True,
        "2027-05-04T06:00": False,
        "2027-05-07T23:00": True,
        "2027-05-08T05:59": True,
        "2027-05-08T06:00": False,
        "2027-05-08T23:00": False,
        "2027-05-09T03:00": False,
    }
    assert dict(zip(moments, holds("mon-fri 22:00-06:00", *moments), strict=True)) == moments


def test_a_range_that_begins_on_the_last_day_of_a_year_ends_in_the_next():
    written = {"times": [{"start_time": "22:00", "end_time": "02:00"}], "years": [2026]}
    moments = ["2026-01-01T01:00", "2026-12-31T23:00", "2027-01-01T01:59", "2027-01-01T02:00", "2027-01-01T22:00"]
    assert holds(written, *moments) == [False, True, True, False, False]


def test_times_are_read_off_the_clock_on_the_wall_through_both_changes_of_summer_time():
    """In Berlin 02:00 to 03:00 is skipped on 2027-03-28 and comes twice on 2026-10-25."""
    night = "02:00-04:30 Europe/Berlin"
    assert minutes_held(night, "2027-03-27", 1) == 150
    assert minutes_held(night, "2027-03-28", 1) == 90
    assert minutes_held(night, "2026-10-25", 1) == 210
    skipped_or_twice = "02:15-02:45 Europe/Berlin"
    assert minutes_held(skipped_or_twice, "2027-03-28", 1) == 0
    assert minutes_held(skipped_or_twice, "2026-10-25", 1) == 60


def test_the_change_of_summer_time_moves_the_hours_in_utc():
    night = "02:00-04:30 Europe/Berlin"
    assert holds(night, "2027-03-27T01:00", "2027-03-27T03:29", "2027-03-27T03:30") == [True, True, False]
    assert holds(night, "2027-03-28T00:59:59", "2027-03-28T01:00", "2027-03-28T02:29", "2027-03-28T02:30") == [
        False,
        True,
        True,
        False,
    ]
    assert holds(night, "2026-10-25T00:00", "2026-10-25T01:30", "2026-10-25T03:29", "2026-10-25T03:30") == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("words", "mapping"),
    [
        ("02:00-04:30", {"times": [{"start_time": "02:00", "end_time": "04:30"}]}),
        (
            "mon-fri 22:00-06:00 Europe/Berlin",
            {
                "times": [{"start_time": "22:00", "end_time": "06:00"}],
                "weekdays": ["monday:friday"],
                "location": "Europe/Berlin",
            },
        ),
        (
            "  Sat,tue:thursday  00:00 - 24:00  ",
            {"times": [{"start_time": "00:00", "end_time": "24:00"}], "weekdays": ["saturday", "tuesday:thursday"]},
        ),
    ],
)
def test_a_line_of_text_means_the_same_as_its_mapping(words, mapping):
    assert interval(words) == interval(mapping)


@pytest.mark.parametrize(
    "words", ["", "02:00", "02:00-", "nights 02:00-03:00", "2:00-3:00", "02:00-03:00 UTC UTC", "mon, 02:00-03:00"]
)
def test_other_lines_of_text_are_refused(words):
    with pytest.raises(ValueError, match=r"no interval|no day of the week|no time of day"):
        interval(words)


@pytest.mark.parametrize(
    "name", ["", "Europe", "../UTC", "/usr/share/zoneinfo/UTC", "UTC\0", "x" * 300, "zone.tab", "\ud800", "Local", 3]
)
def test_only_names_of_time_zones_are_locations(name):
    with pytest.raises(ValueError, match=r"time zone"):
        spans.time_zone(name)


def test_without_a_time_zone_database_the_error_says_so(monkeypatch):
    monkeypatch.setattr(spans, "available_timezones", set)
    with pytest.raises(ValueError, match="install the package tzdata"):
        spans.time_zone("Europe/Nowhere")


def test_an_entry_without_quiet_hours_leaves_them_to_the_watch():
    quiet = watch(quiet_hours='["02:00-04:30", {weekdays: [sunday]}]')
    assert quiet.quiet_hours == [interval("02:00-04:30"), interval({"weekdays": ["sunday"]})]
    assert [entry.quiet_hours for entry in quiet.select] == [None, None]
    assert watch(selection="quiet_hours: []").select[1].quiet_hours == []
    assert watch(selection="quiet_hours: ['01:00-02:00']").select[1].quiet_hours == [interval("01:00-02:00")]


def test_times_of_a_watch_are_durations():
    default, given_ = watch(), watch(selection="for: 5m", history="60d", settle="6h")
    assert (default.history, default.settle, default.select[1].for_) == (14 * 86400.0, 86400.0, 0.0)
    assert (given_.history, given_.settle, given_.select[1].for_) == (60 * 86400.0, 6 * 3600.0, 300.0)
    assert watch(history="0").history == 0.0
