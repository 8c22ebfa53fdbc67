import math

import pytest

from exporter.drawing.wording import ago, duration, edge, label_text, number, utc


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "", "–"),
        (math.nan, "bytes", "–"),
        (math.inf, "", "∞"),
        (-math.inf, "", "−∞"),
        (0.0, "", "0"),
        (0.0001234, "", "1.2e-04"),
        (0.123456, "", "0.123"),
        (5.0, "", "5"),
        (-4.6255, "", "-4.63"),
        (999.0, "", "999"),
        (1234.0, "", "1.23 k"),
        (1_500_000.0, "", "1.5 M"),
        (2.5e13, "", "25 T"),
        (12.0, "1/s", "12 1/s"),
        (1536.0, "bytes", "1.5 KiB"),
        (100.0, "bytes", "100 B"),
        (-3 * 1024.0**3, "bytes", "-3 GiB"),
        (65536.0, "bytes/s", "64 KiB/s"),
        (0.0, "bytes/s", "0 B/s"),
        (0.0042, "seconds", "4.2 ms"),
        (0.256, "ratio", "25.6 %"),
    ],
)
def test_numbers_are_short_and_carry_their_unit(value: float | None, unit: str, text: str):
    assert number(value, unit) == text


def test_the_edge_of_a_band_repeats_only_units_that_scale():
    assert edge(0.5, "seconds/s") == "0.5"
    assert edge(2048.0, "bytes") == "2 KiB"
    assert edge(2048.0, "bytes/s") == "2 KiB/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (math.inf, "–"),
        (0.0, "0 ms"),
        (0.25, "250 ms"),
        (1.0, "1 s"),
        (119.4, "119 s"),
        (120.0, "2 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (9000.0, "2.5 h"),
        (172800.0, "2 days"),
    ],
)
def test_spans_of_time_use_the_largest_fitting_unit(seconds: float | None, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "never"),
        (1000.0, "just now"),
        (1000.5, "just now"),
        (1001.0, "just now"),
        (995.2, "5 s ago"),
        (400.0, "10 min ago"),
    ],
)
def test_the_past_is_told_in_whole_seconds(at: float, text: str):
    assert ago(at, 1000.0) == text


def test_times_are_utc():
    assert utc(1_770_000_000.9) == "2026-02-02T02:40:00Z"


def test_labels_read_as_pairs():
    assert label_text((("a", "1"), ("b", "x y"))) == "a=1, b=x y"
    assert label_text(()) == "all series"
