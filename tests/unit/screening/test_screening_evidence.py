"""Evidence: sentences for people, whose numbers can be checked."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from screening_support import INSTANTS, noise, screened

from exporter.screening.evidence import format_number, format_span, format_value, numbers_in

HOUR = "in the 56 min before"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.0, "-1"),
        (0.1 + 0.2, "0.3"),
        (0.95, "0.95"),
        (12.345678, "12.35"),
        (-12.345678, "-12.35"),
        (99.996, "100"),
        (1234.5, "1234"),
        (123456.0, "123500"),
        (999949.0, "999900"),
        (999951.0, "1e6"),
        (1288490188.8, "1.288e9"),
        (-2e12, "-2e12"),
        (0.00012, "0.00012"),
        (0.000123456, "0.0001235"),
        (0.000012, "1.2e-5"),
        (1e300, "1e300"),
        (1.7976931348623157e308, "1.797e308"),
        (-1e-300, "-1e-300"),
        (5e-324, "4.941e-324"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers_have_four_digits_and_their_sign(value, text):
    assert format_number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_reads_back_as_itself_to_four_digits(value):
    text = format_number(value)
    assert numbers_in(text) == (float(text),)
    assert float(text) == pytest.approx(value, rel=6e-4)
    assert math.copysign(1, float(text)) == math.copysign(1, value) or value == 0
    assert len(text) <= 11


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.25, "seconds", "0.25 s"),
        (5400, "seconds", "5400 s (90 min)"),
        (9000, "seconds", "9000 s (2.5 h)"),
        (-300, "seconds", "-300 s (-5 min)"),
        (1288490188.8, "bytes", "1.288e9 B (1.2 GiB)"),
        (-4096, "bytes", "-4096 B (-4 KiB)"),
        (512, "bytes", "512 B"),
        (3145728, "bytes/s", "3.146e6 B/s (3 MiB/s)"),
        (0.5, "seconds/s", "0.5 s/s"),
        (0.95, "ratio", "0.95"),
        (0.95, "", "0.95"),
        (17, "requests/s", "17 requests/s"),
        (17, "/s", "17 /s"),
        (math.inf, "bytes", "+Inf B"),
        (math.nan, "seconds", "NaN s"),
    ],
)
def test_values_carry_their_unit(value, unit, text):
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (6.999, "7 s"),
        (45, "45 s"),
        (119, "119 s"),
        (210, "3.5 min"),
        (7200, "2 h"),
        (14 * 86400, "14 d"),
    ],
)
def test_spans_are_told_in_the_unit_that_suits_them(seconds, text):
    assert format_span(seconds) == text


def test_digits_inside_words_are_no_numbers():
    assert numbers_in("p90 of disk2 is -0.5, 3e5 or 99% (h2o, 1.2.3)") == (-0.5, 3e5, 99.0)


def facts(values, unit="", row=0, **selection):
    return {fact.detector: fact for fact in screened(values, unit=unit, **selection).evidence(row)}


def ramp():
    """0.11 to 0.23 and back, again and again."""
    return np.tile(np.concatenate([np.linspace(0.11, 0.23, 13), np.linspace(0.22, 0.12, 11)]), 10)


def test_a_spike_in_words():
    values = ramp()
    values[-1] = 0.95
    said = facts(values)
    assert said["rank"].text == (
        "now 0.95, usually 0.11 to 0.23 (middle 99% of the 56 min before); 6 times that range above the highest value seen (0.23)"
    )
    assert said["rank"].numbers == (0.95, 0.11, 0.23, 99.0, 56.0, 6.0, 0.23)
    assert said["jump"].text == (
        "rose by 0.82 within 15 s, from 0.13 to 0.95; before, the largest rise in one step was 0.01"
    )
    assert said["robust deviation"].text == "0.95 lies 18 times the usual spread (0.04448) above the median 0.17"


def test_a_spike_that_is_over_is_told_with_its_time():
    values = ramp()
    values[-3] = 0.95
    assert facts(values)["rank"].text.startswith("0.95, 30 s ago (now 0.12), usually 0.11 to 0.23 (")


def test_of_equally_odd_values_the_newest_is_told():
    values = noise(1)[0]
    values[-3:] = 0.0
    assert facts(values, direction="both")["rank"].text.startswith("now 0, usually ")


def test_a_calm_series_is_told_where_it_stands():
    said = facts(ramp(), unit="seconds")
    assert [fact.text for fact in said.values()] == [
        "now 0.12 s, usually 0.11 to 0.23 s (middle 99% of the 56 min before)"
    ]


def test_a_constant_that_moved_in_words():
    values = np.full(INSTANTS, 5.0)
    values[-1] = 4.0
    said = facts(values, unit="requests/s")
    assert said["rank"].text == f"now 4 requests/s, always 5 requests/s {HOUR}"
    assert said["jump"].text == "fell by 1 requests/s within 15 s, from 5 to 4; before, it never fell"
    assert "robust deviation" not in said


def test_a_mean_in_words():
    values = np.tile([100.0, 120.0, 80.0, 140.0, 60.0], 48)
    values[-4:] = 150.0
    said = facts(values)["rank"]
    assert said.text == f"the mean of the newest 4 values is 150; {HOUR}, such means were between 90 and 110"
    assert said.numbers == (4.0, 150.0, 56.0, 90.0, 110.0)


def test_a_level_shift_in_words():
    values = np.tile([1.0, 3.0, 2.0, 1.0], 60)
    values[-20:] += 30
    assert facts(values, unit="bytes")["level shift"].text == (
        "for the newest 4.8 min the level is about 31.5 B; before, in a window of 59.8 min, it was 1.5"
    )


def test_a_flatline_in_words():
    values = noise(1)[0]
    values[-12:] = 0.0
    assert facts(values, unit="/s")["flatline"].text.startswith(
        "exactly 0 /s for the newest 12 values (2.8 min), although it normally keeps moving: usually "
    )


def test_a_missing_series_in_words():
    values = noise(2)
    values[0, 30], values[0, -6] = np.nan, 100.0
    values[0, -5:] = np.nan
    said = facts(values)
    assert list(said) == ["missing"]
    assert said["missing"].text == (
        "no value at the newest 5 instants, while the target still gives other series; "
        "before that 234 of 235 instants had one, the last was 100"
    )


def test_a_value_below_the_valid_range_in_words():
    values = noise(1)[0]
    values[-2] = -3.0
    text = facts(values, unit="bytes", valid_min=0.0)["valid range"].text
    assert text == "-3 B is below 0, the lowest value that the configuration calls valid"


def test_a_value_that_came_again_is_told_how_often():
    values = noise(1)[0]
    values[[100, 150, -1]] = 900.0
    assert facts(values)["robust deviation"].text.endswith("; 2 earlier values lay as far out")


def test_the_strongest_fact_comes_first_and_all_numbers_are_listed():
    values = noise(50)
    values[:, -1] += np.linspace(0, 400, 50)
    result = screened(values, unit="bytes")
    for row in range(50):
        said = result.evidence(row)
        assert [fact.score for fact in said] == sorted((fact.score for fact in said), reverse=True)
        assert all(fact.numbers == numbers_in(fact.text) for fact in said)
        assert said[0].score >= result.score[row]
