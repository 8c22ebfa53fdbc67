"""How odd a group is as a whole."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.screening.groups import GroupScore
from exporter.screening.standing import BOUNDARY, PEAKS, Habits, Standings

KEY = (("instance", "db1"),)
START = 1_700_000_000.0


def judged(standings: Standings, strangeness: float, now: float, **changes: float) -> float:
    score = GroupScore(
        **{"key": KEY, "total": 5, "suspicious": 0, "top_score": 0.2, "strangeness": strangeness} | changes
    )
    return standings.judge({KEY: score}, now)[KEY].score


def test_the_boundary_is_a_half():
    assert judged(Standings(60.0, 30.0), BOUNDARY, START) == pytest.approx(0.5)


def test_oddness_halves_in_ten_minutes_after_the_series_are_calm():
    standings = Standings(60.0, 30.0)
    judged(standings, 2 * BOUNDARY, START)
    assert judged(standings, 0.0, START + 600) == pytest.approx(0.5)
    assert judged(standings, 0.0, START + 1200) == pytest.approx(1 / 3)


def test_a_group_of_one_series_scores_what_its_series_scores():
    assert judged(Standings(60.0, 30.0), 100.0, START, total=1, top_score=0.3) == 0.3


def test_a_group_without_scores_has_none():
    assert math.isnan(judged(Standings(60.0, 30.0), 0.0, START, top_score=math.nan))


def test_a_group_that_is_odd_each_hour_must_exceed_its_habit():
    standings = Standings(60.0, 30.0)
    hours = [judged(standings, 10.0, START + 3600 * hour) for hour in range(40)]
    assert hours[0] > 0.5
    assert np.max(hours[26:]) == pytest.approx((10 / 12.5) / (1 + 10 / 12.5))
    assert judged(standings, 40.0, START + 3600 * 40) > 0.5


@pytest.mark.parametrize(("hours", "oddness_left"), [(0.5, 0.5**3), (23, 0.5**138), (26, 0.0)])
def test_a_group_that_went_is_forgotten_after_a_day(hours, oddness_left):
    standings = Standings(60.0, 30.0)
    judged(standings, BOUNDARY, START)
    back = START + hours * 3600
    for minutes in range(0, int(hours * 60), 10):
        standings.judge({}, START + 60 * minutes)
    standings.judge({}, back - 60)
    assert judged(standings, 0.0, back) == pytest.approx(oddness_left / (1 + oddness_left), rel=1e-6, abs=0)


def test_what_a_group_did_more_than_two_weeks_of_hours_ago_is_no_habit():
    standings = Standings(60.0, 30.0)
    for hour in range(40):
        judged(standings, 10.0, START + 3600 * hour)
    rested = Standings(60.0, 30.0)
    rested.restore(standings.habits())
    later = START + 3600 * (40 + PEAKS)
    assert judged(rested, BOUNDARY, later) == pytest.approx(0.5)


@given(
    strange=st.lists(st.floats(0, 200), min_size=1, max_size=60),
    step=st.sampled_from([300.0, 1800.0, 5000.0]),
    cut=st.integers(0, 60),
)
@settings(max_examples=40)
def test_whoever_goes_on_from_habits_scores_as_if_nothing_had_been_interrupted(strange, step, cut):
    through, first, second = (Standings(60.0, 30.0) for _ in range(3))
    for number, each in enumerate(strange):
        now = START + step * number
        if number == cut:
            second.restore(first.habits())
        (first if number < cut else second).judge({}, now)
        assert judged(through, each, now) == judged(first if number < cut else second, each, now)


def test_habits_do_not_change_with_what_goes_on():
    standings = Standings(60.0, 30.0)
    judged(standings, 7.0, START)
    habits = standings.habits()
    before = habits.state.tolist()
    judged(standings, 70.0, START + 3600)
    assert (habits.state.tolist(), habits.keys) == (before, (KEY,))
    assert np.isnan(habits.peaks).all()


def test_arrays_that_are_no_habits_are_refused():
    with pytest.raises(ValueError, match="habits of 2 groups"):
        Habits((KEY, KEY), np.zeros((1, 4)), np.zeros((2, PEAKS)))


def test_a_less_sensitive_watch_asks_for_more():
    assert judged(Standings(60.0, 300.0), BOUNDARY, START) < 0.5 < judged(Standings(60.0, 3.0), BOUNDARY, START)
