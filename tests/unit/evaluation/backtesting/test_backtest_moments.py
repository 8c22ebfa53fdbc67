"""Moments: what people type comes back as the time that they mean."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.durations import format_duration
from exporter.evaluation.backtesting.arguments import joined
from exporter.evaluation.backtesting.moments import parse_moment

NOW = 1_764_191_917.25


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_before_now_is_so_much_before_now(seconds):
    for prefix in ("-", "now-"):
        assert parse_moment(prefix + format_duration(seconds)).at(NOW) == NOW - seconds


@given(
    st.integers(min_value=86400, max_value=250_000_000_000),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_a_date_with_its_zone_is_that_instant_whatever_now_is(seconds, minutes):
    dated = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    assert parse_moment(dated.isoformat()).at(NOW) == parse_moment(dated.isoformat()).at(0.0) == dated.timestamp()


@given(st.floats(min_value=0, max_value=4e9, allow_nan=False))
def test_unix_seconds_are_themselves(seconds):
    assert parse_moment(repr(seconds)).at(NOW) == seconds


@given(st.text(max_size=24))
def test_any_text_is_a_moment_or_says_what_to_write(text):
    try:
        found = parse_moment(text).at(NOW)
    except ValueError as error:
        found = str(error)
    assert isinstance(found, float) or repr(text) in found


def test_now_and_a_date_in_utc():
    assert parse_moment("now").at(NOW) == NOW
    assert parse_moment("2026-11-20T08:00:00Z").at(NOW) == datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-20T08:00:00", "append Z for UTC"),
        ("yesterday", "write now, -7d, 2026-11-20T08:00:00Z or Unix seconds"),
        ("-7days", "write it like 30s, 5m or 1h30m"),
        ("nan", "write now"),
        ("1e99", "write now"),
    ],
)
def test_what_is_no_moment_says_why(text, said):
    with pytest.raises(ValueError, match=said):
        parse_moment(text)


def test_a_moment_that_begins_with_a_dash_is_no_option():
    typed = ["backtest", "--from", "-7d", "--to", "-1h", "--step", "5m", "--from", "now", "--json", "-"]
    expected = ["backtest", "--from=-7d", "--to=-1h", "--step", "5m", "--from", "now", "--json", "-"]
    assert joined(typed) == expected
    assert joined(["backtest", "--from", "--to", "now"]) == ["backtest", "--from", "--to", "now"]
