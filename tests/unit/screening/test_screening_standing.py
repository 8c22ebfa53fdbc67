"""How odd a group is as a whole."""

import math

import numpy as np
import pytest

from exporter.screening.groups import GroupScore
from exporter.screening.standing import BOUNDARY, Standings

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
    assert np.max(hours[26:]) == pytest.approx((10 / 15) / (1 + 10 / 15))
    assert judged(standings, 40.0, START + 3600 * 40) > 0.5


def test_a_group_that_went_is_forgotten():
    standings = Standings(60.0, 30.0)
    judged(standings, 100.0, START)
    standings.judge({}, START + 1)
    assert judged(standings, 0.0, START + 2) == 0.0


def test_a_less_sensitive_watch_asks_for_more():
    assert judged(Standings(60.0, 300.0), BOUNDARY, START) < 0.5 < judged(Standings(60.0, 3.0), BOUNDARY, START)
