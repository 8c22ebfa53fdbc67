"""Tail probabilities and the scores that come of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.screening.tails import any_of, decay_of, log_beyond, log_boundary, log_student, pick, score_of

LOGARITHMS = st.floats(-1000, 0)


def beyond(excess, count=225, decay=19.0, taught=45.0):
    return float(log_beyond(np.array([[excess]]), np.array([[count]]), np.array(decay), np.array([[taught]]))[0, 0])


def test_the_boundary_is_crossed_by_chance_once_in_the_days_given():
    assert math.exp(log_boundary(15.0, 30)) == pytest.approx(15 / (30 * 86400))


@pytest.mark.parametrize(("interval", "expected"), [(1e-6, 1e-9), (1e9, 1e-2)])
def test_the_boundary_stays_where_it_means_something(interval, expected):
    assert math.exp(log_boundary(interval, 30)) == pytest.approx(expected)


def test_the_score_is_a_half_at_the_boundary_and_zero_where_nothing_is_odd():
    boundary = log_boundary(15.0, 30)
    assert score_of(np.array([0.0, boundary, 3 * boundary]), boundary).tolist() == [0.0, 0.5, 0.75]


@given(LOGARITHMS, LOGARITHMS)
def test_the_less_likely_the_higher_the_score(first, second):
    low, high = score_of(np.array(sorted((first, second), reverse=True)), log_boundary(15.0, 30))
    assert 0 <= low <= high < 1


@given(LOGARITHMS, st.integers(1, 100))
def test_trying_more_makes_a_sight_likelier_but_never_certain_beyond_one(log_tail, tried):
    assert log_tail <= float(any_of(np.array(log_tail), tried)) <= 0


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 8, 30, 224])
def test_the_tail_of_students_t_is_bounded_from_above(freedom):
    # The two-sided tail by Simpson's rule over the density, in u = arctan(t / √ν), where it is finite.
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    for deviation in (0.1, 0.5, 1.0, 2.0, 4.0, 10.0, 50.0):
        angles = np.linspace(math.atan(deviation / math.sqrt(freedom)), math.pi / 2, 20_001)
        density = np.cos(angles) ** (freedom - 1)
        weights = np.ones_like(angles)
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        tail = 2 * constant * float((weights * density).sum()) * (angles[1] - angles[0]) / 3
        bound = math.exp(float(log_student(np.array([[deviation]]), np.array([[float(freedom)]]))[0, 0]))
        assert tail <= bound * (1 + 1e-9)
        assert bound <= 40 * tail


def test_what_is_not_beyond_the_history_is_likely():
    assert [beyond(excess) for excess in (-3.0, 0.0, math.nan)] == [0.0, 0.0, 0.0]


def test_a_new_extreme_is_as_likely_as_its_rank():
    assert math.exp(beyond(1e-12)) == pytest.approx(2 / 226)


@given(st.floats(0.01, 1e4), st.floats(0.01, 1e4), st.integers(10, 1000))
def test_further_out_is_less_likely_and_more_so_the_more_is_known(first, second, count):
    near, far = sorted((first, second))
    assert beyond(far, count) <= beyond(near, count) <= 0
    assert beyond(near, count, taught=50.0) <= beyond(near, count, taught=5.0)


def test_heavy_tails_fall_off_slower_and_none_faster_than_a_gaussian():
    light, gaussian, laplace, heavy = decay_of(np.array([1.2, 2.01, 2.8614, 3.6]))
    assert light == gaussian
    assert gaussian > laplace > heavy
    assert laplace == pytest.approx(2 * math.log(100), rel=1e-3)


def test_the_oddest_allowed_column_is_picked():
    log_tails = np.array([[-1.0, -9.0, -3.0], [-1.0, -2.0, -3.0], [-1.0, -2.0, -3.0]])
    allowed = np.array([[True, False, True], [True, True, True], [False, False, False]])
    smallest, column = pick(log_tails, allowed)
    assert smallest.tolist() == [-3.0, -3.0, 0.0]
    assert column.tolist() == [2, 2, 2]
