"""The z-scores and Grafana's rules against figures worked out by hand."""

import numpy as np
import pytest
from eval_reference_cases import START, calm, case_of

from exporter.evaluation.reference.grafana_robust import grafana_robust
from exporter.evaluation.reference.median_mad import median_mad
from exporter.evaluation.reference.zscore import zscore

TO_AND_FRO = [9.0, 11.0] * 20
"""Mean 10, standard deviation 1."""
LADDER = [float(step) for step in range(1, 21)]
"""Median 10.5, MAD 5."""
DAY = 288
"""Instants, at one each 5 minutes."""


def newest(detector, history, value, **case):
    return float(detector(case_of([[*history, value]], **case), 1)[0, -1])


@pytest.mark.parametrize(("value", "score"), [(10.0, 0.0), (13.0, 0.5), (7.0, 0.5), (16.0, 2 / 3), (22.0, 0.8)])
def test_a_z_score_of_3_is_a_half(value, score):
    assert newest(zscore, TO_AND_FRO, value) == pytest.approx(score)


@pytest.mark.parametrize(("value", "score"), [(10.5, 0.0), (36.445, 0.5), (-15.445, 0.5), (10.5 + 3 * 25.945, 0.75)])
def test_a_modified_z_score_of_3_and_a_half_is_a_half(value, score):
    assert newest(median_mad, LADDER, value) == pytest.approx(score, abs=1e-4)


def test_where_the_mad_is_0_the_mean_absolute_deviation_stands_in():
    """19 times 10 and once 20: the mean distance from the median is 0.5, in standard deviations 0.62665."""
    history = [10.0] * 19 + [20.0]
    assert newest(median_mad, history, 10.0 + 3.5 * 0.62665) == pytest.approx(0.5)


@pytest.mark.parametrize("detector", [zscore, median_mad])
def test_a_constant_that_moves_once_is_odd_and_before_that_is_not(detector):
    scores = detector(case_of([[0.1] * 100 + [0.1001] + [0.1] * 5]), 1)[0]
    assert np.nanmax(scores[:100]) < 1e-6
    assert scores[100] > 0.99


@pytest.mark.parametrize("detector", [zscore, median_mad])
def test_there_is_no_score_from_less_than_20_values_or_without_one(detector):
    values = calm(1, 60)[0]
    values[5], values[40] = np.nan, np.nan
    scores = detector(case_of([values]), 1)[0]
    assert np.flatnonzero(np.isnan(scores)).tolist() == [*range(21), 40]


@pytest.mark.parametrize("detector", [zscore, median_mad])
def test_what_is_older_than_a_day_is_forgotten(detector):
    """At one value in 5 minutes: a wild day, then a calm one, after which the same excursion is odd again."""
    wild, quiet = calm(1, DAY, spread=50.0)[0], calm(1, DAY + 1, seed=2, spread=1.0)[0]
    early, late = (newest(detector, [*wild, *quiet[:length]], 120.0) for length in (3, DAY))
    assert early < 0.5
    assert late > 0.7


@pytest.mark.parametrize(("interval", "instants"), [(3600.0, 60), (300.0, 288), (1.0, 1440)])
def test_the_window_of_a_day_holds_a_sensible_number_of_instants(interval, instants):
    """After a step each value is one standard deviation from the mean as soon as the last from before it is gone."""
    scores = zscore(case_of([[0.0, 1.0] * 1000 + [1000.0, 1001.0] * 800], interval), 1)[0]
    assert scores[2000 + instants - 1] < 0.1
    assert scores[2000 + instants] == pytest.approx(0.25)


def grafana(values, **case):
    return grafana_robust(case_of([values], **case), 1)[0]


def test_grafanas_margin_is_half_of_the_median_and_its_level_the_median_of_an_hour():
    """A constant of 100 has the band 50 to 150.

    The hour's median is 125 when half of the hour is at 150, and 150 from the seventh value on; the lowest of two
    scores 5 minutes apart counts.
    """
    scores = grafana([100.0] * (2 * DAY) + [150.0] * 12)
    assert scores[: 2 * DAY + 5].tolist() == [0.0] * (2 * DAY + 5)
    assert scores[2 * DAY + 5 :].tolist() == pytest.approx([0.0, 1 / 3] + [0.5] * 5)


def test_grafanas_band_is_two_mads_wide_where_that_is_more_than_the_margin():
    """40, 100 and 160 in turn: median 100, MAD 60, band 0 to 220; an hour at 190 is 80 above its middle of 110."""
    scores = grafana([40.0, 100.0, 160.0] * 192 + [190.0] * 9)
    assert scores[-1] == pytest.approx(80 / (80 + 110))


@pytest.mark.parametrize("days", [1, 7])
def test_grafana_expects_what_the_same_hour_of_yesterday_or_last_week_was(days):
    values = np.full(8 * DAY + 24, 100.0)
    at = 8 * DAY - DAY // 2
    values[at : at + 24] = 300.0
    alone = grafana(values)[at + 12 : at + 24]
    values[at - days * DAY : at - days * DAY + 24] = 300.0
    before = grafana(values)[at + 12 : at + 24]
    assert alone.min() >= 0.8
    assert before.max() <= 0.5 + 1e-9


def test_grafana_says_nothing_where_nothing_is_above_0():
    values = np.full(100, 5.0)
    values[50:80] = 0.0
    scores = grafana(values)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [*range(61, 81)]
    assert np.isnan(grafana(np.full(100, -5.0))).all()


def test_grafana_alerts_after_5_minutes_outside_only():
    """At one value a minute: the median of the hour is 200 at the 30th value, above the band, and the alert comes 5 later."""
    scores = grafana([100.0] * 1440 + [300.0] * 60, interval=60.0)
    assert int(np.argmax(scores > 0.5)) == 1440 + 29 + 5


def test_grafana_does_not_take_a_gap_for_the_past():
    times = START + 300.0 * np.arange(400)
    times[200:] += 30 * 86400.0
    scores = grafana([100.0] * 200 + [400.0] * 200, times=times)
    assert np.nanmax(scores) == 0.0
