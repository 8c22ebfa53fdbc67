"""Durations read and print as Prometheus writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.durations import format_duration, parse_duration

MILLISECONDS = st.integers(min_value=0, max_value=292 * 365 * 86_400_000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("1w2d", 9 * 86400.0),
        ("1y", 365 * 86400.0),
        ("1y2w3d4h5m6s7ms", 365 * 86400 + 17 * 86400 + 4 * 3600 + 5 * 60 + 6.007),
        ("250ms", 0.25),
        ("90m", 5400.0),
    ],
)
def test_a_duration_means_its_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "00",
        "s",
        "1.5h",
        "-5m",
        "+5m",
        "5 m",
        "5M",
        "1m1h",
        "1h1h",
        "5m ",
        "1:30",
        "٣s",
        "9" * 30 + "s",
        "soon",
    ],
)
def test_other_texts_are_refused_with_an_example(text):
    with pytest.raises(ValueError, match="30s, 5m or 1h30m"):
        parse_duration(text)


def test_a_duration_beyond_what_prometheus_can_hold_is_refused():
    assert parse_duration("292y") == 292 * 365 * 86400.0
    with pytest.raises(ValueError, match="longer than the 292 years"):
        parse_duration("293y")


@given(MILLISECONDS)
def test_every_duration_survives_the_round_trip_exactly(milliseconds):
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == seconds


@given(
    st.dictionaries(
        st.sampled_from(["y", "w", "d", "h", "m", "s", "ms"]),
        st.integers(min_value=0, max_value=90),
        min_size=1,
    ),
)
def test_the_units_of_a_text_add_up_in_any_amount(counts):
    """`90m` is as good as `1h30m`; only the order of the units is fixed."""
    sizes = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    text = "".join(f"{counts[unit]}{unit}" for unit in sizes if unit in counts)
    assert parse_duration(text) == sum(sizes[unit] * count for unit, count in counts.items()) / 1000


@given(st.text(alphabet="0123456789ywdhms. -", max_size=12))
def test_a_text_is_read_or_refused_never_anything_else(text):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (0.25, "250ms"), (30, "30s"), (90, "1m30s"), (5400, "1h30m"), (30 * 86400, "30d"), (7 * 86400, "7d")],
)
def test_durations_print_as_people_write_them(seconds, text):
    assert format_duration(seconds) == text
