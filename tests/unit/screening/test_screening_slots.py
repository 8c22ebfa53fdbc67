"""Hourly summaries: eight numbers an hour, in four bytes each, whatever the size of the values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from exporter.screening.slots import MAXIMUM, MEAN, MEDIAN, MINIMUM, SHARES, Code, slot_seconds, summary_of

NAN = np.nan
SINGLE = float(np.finfo(np.float32).eps)
DOUBLE = float(np.finfo(np.float64).eps)

GAPPY = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
    elements=st.floats(-1e9, 1e9) | st.just(NAN) | st.integers(-2, 2).map(float),
)


def kept(code, values):
    """What reads back of values that were kept in 4 bytes."""
    return code.read(code.write(np.asarray(values, dtype=np.float64)).astype(np.float32).astype(np.float64))


def code_of(values):
    """Learned from one slot of one series."""
    return Code.empty(1).learned(summary_of(np.array([values], dtype=np.float64)))


@pytest.mark.parametrize(("interval", "slot"), [(15, 3600), (3600, 3600), (5400, 5400), (7200, 7200), (86400, 86400)])
def test_a_slot_is_an_hour_or_an_interval_where_that_is_longer(interval, slot):
    assert slot_seconds(interval) == slot


@given(GAPPY)
def test_a_summary_is_what_numpy_says_of_the_values_that_are_there(values):
    summary = summary_of(values)
    for row, there in enumerate([line[~np.isnan(line)] for line in values]):
        if there.size:
            assert np.allclose(summary[: MAXIMUM + 1, row], np.quantile(there, SHARES), rtol=1e-12, atol=1e-9)
            assert (summary[MINIMUM, row], summary[MAXIMUM, row]) == (there.min(), there.max())
            assert summary[MEAN, row] == pytest.approx(there.mean(), rel=1e-12, abs=1e-6)
        else:
            assert np.isnan(summary[:, row]).all()


@given(
    middle=st.sampled_from([0.0, 1.7e9, -1.7e9, 5.0, -3e-5, 1e-300, -1e-300, 1e299, -9e299]),
    width=st.sampled_from([1e-6, 1e-3, 0.1, 1.0]),
    shares=st.lists(st.integers(-50, 50), min_size=1, max_size=30),
    later=st.lists(st.integers(-500, 500), min_size=1, max_size=30),
)
def test_values_of_a_size_that_the_first_slot_had_keep_their_digits(middle, width, shares, later):
    size = width * (abs(middle) or 1.0)
    code = code_of(middle + size * np.array(shares) / 100)
    values = middle + size * np.array(later) / 100
    lost = np.abs(kept(code, values) - values)
    assert (lost <= SINGLE * (np.abs(values - code.offset) + code.scale * 1e-30) + 4 * DOUBLE * abs(middle)).all()


def test_a_timestamp_keeps_its_seconds_over_two_weeks():
    hour = 1.7e9 + 15.0 * np.arange(240)
    weeks = 1.7e9 + 3600.0 * np.arange(336)
    assert np.abs(kept(code_of(hour), weeks) - weeks).max() < 0.1


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 0.1, 1e12, 1.7e9, 1e-300, -1e-300, 9e299, -9e299, 5e-324])
def test_a_constant_reads_back_as_it_is(value):
    assert kept(code_of([value] * 12), [value]).tolist() == [value]


@pytest.mark.parametrize("constant", [0.0, 42.0, 1e300])
def test_a_constant_that_moves_later_has_a_scale_for_that(constant):
    moved = [constant * 1.01 + 1e-3, constant * 0.5, constant * 0.9]
    assert kept(code_of([constant] * 12), moved) == pytest.approx(np.array(moved), rel=1e-6)


@pytest.mark.parametrize("huge", [1e300, -1e300, 1e150])
@pytest.mark.parametrize("usual", [[100.0, 104.0, 96.0, 101.0], [0.0], [5.0]])
def test_one_huge_value_in_the_first_slot_leaves_the_others_their_digits(usual, huge):
    code = code_of(usual * 12 + [huge])
    assert kept(code, [100.0, 101.0, 104.0]) == pytest.approx(np.array([100.0, 101.0, 104.0]), rel=1e-4)
    assert abs(kept(code, [huge])[0]) > 1e25


def test_a_blip_of_a_tiny_series_that_stands_at_zero_is_kept():
    assert kept(code_of([0.0] * 12 + [1e-50]), [1e-50]) == pytest.approx(np.array([1e-50]), rel=1e-6)


def test_what_is_far_too_large_for_a_scale_is_kept_as_very_far_and_not_as_infinite():
    code = code_of([1e-290, 2e-290])
    written = code.write(np.array([1e300, -1e300, np.inf, -np.inf])).astype(np.float32)
    assert np.isfinite(written).all()
    assert (np.sign(written) == [1, -1, 1, -1]).all()


def test_a_series_without_values_has_no_code_until_its_first_ones_and_then_keeps_it():
    first = np.array([[NAN, NAN], [1.0, 3.0]])
    code = Code.empty(2).learned(summary_of(first))
    assert np.isnan(code.offset).tolist() == [True, False]
    assert np.isnan(code.write(np.array([7.0, 7.0]))).tolist() == [True, False]
    later = code.learned(summary_of(np.array([[10.0, 30.0], [500.0, 900.0]])))
    assert later.offset.tolist() == [20.0, 2.0]
    assert later.scale[1] == code.scale[1]
    assert later.learned(summary_of(first)) is later


def test_some_rows_have_the_code_that_they_have_among_all():
    code = Code.empty(3).learned(summary_of(np.array([[1.0, 3.0], [10.0, 30.0], [5.0, 5.0]])))
    assert code.rows(slice(1, 3)).offset.tolist() == code.offset[1:].tolist()
    assert code.rows(np.array([2, 0])).scale.tolist() == code.scale[[2, 0]].tolist()


def test_the_median_of_a_slot_is_what_a_code_starts_from():
    values = np.array([[3.0, 1.0, 2.0, 900.0, 2.5]])
    assert code_of(values[0]).offset[0] == summary_of(values)[MEDIAN, 0] == 2.5
