"""Windows of the past over instants that need not be evenly spaced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.evaluation.reference.median_mad import absolute_deviation
from exporter.evaluation.reference.windows import before, lagged, medians, middle, ranges

NUMBERS = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=30)
GAPS = st.lists(st.integers(1, 50), min_size=1, max_size=40)


def pairs(windows):
    return list(zip(windows.starts.tolist(), windows.ends.tolist(), strict=True))


def test_a_range_holds_its_instant_but_not_what_is_exactly_as_old_as_it_is_long():
    assert pairs(ranges(np.array([0.0, 10.0, 20.0, 35.0]), 20.0)) == [(0, 1), (0, 2), (1, 3), (2, 4)]


def test_what_lies_before_leaves_the_instant_out():
    windows = before(np.array([0.0, 10.0, 20.0, 35.0]), 20.0, at_least=0, at_most=9)
    assert pairs(windows) == [(0, 0), (0, 1), (0, 2), (2, 3)]


def test_a_window_reaches_back_for_the_least_it_needs_and_no_further_than_the_most():
    times = np.array([0.0, 1.0, 2.0, 100.0, 101.0, 102.0, 103.0])
    assert pairs(before(times, 10.0, at_least=2, at_most=2)) == [(0, 0), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)]


@given(GAPS, st.integers(1, 100), st.data())
def test_medians_are_those_of_the_values_in_each_window(gaps, seconds, data):
    times = np.cumsum(gaps).astype(np.float64)
    row = np.array([data.draw(st.one_of(st.just(np.nan), st.integers(0, 5).map(float))) for _ in gaps])
    found = medians(row[None], ranges(times, seconds))[0]
    for instant, time in enumerate(times):
        inside = row[(times > time - seconds) & (times <= time)]
        known = inside[~np.isnan(inside)]
        expected = np.median(known) if known.size else np.nan
        np.testing.assert_equal(found[instant], expected)


@given(NUMBERS)
def test_the_middle_is_the_median(numbers):
    assert middle(sorted(numbers)) == pytest.approx(np.median(numbers), rel=1e-12)


@given(NUMBERS)
def test_the_absolute_deviation_is_the_median_of_the_distances(numbers):
    centre = middle(sorted(numbers))
    expected = np.median(np.abs(np.array(numbers) - centre))
    assert absolute_deviation(sorted(numbers), centre) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_counts_are_those_inside_each_window():
    windows = ranges(np.arange(4.0), 2.0)
    assert windows.counts(np.array([[True, True, False, True]])).tolist() == [[1, 2, 1, 1]]


def test_lags_go_from_the_newest_value_back_to_the_start_of_the_window():
    windows = ranges(np.array([0.0, 1.0, 5.0]), 3.0)
    found = [
        (values[0, inside].tolist(), inside.tolist()) for values, inside in lagged(np.array([[7.0, 8.0, 9.0]]), windows)
    ]
    assert found == [([7.0, 8.0, 9.0], [True, True, True]), ([7.0], [False, True, False])]
