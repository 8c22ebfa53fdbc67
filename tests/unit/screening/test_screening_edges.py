"""Odd input: screening says something sensible or nothing, and never warns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from screening_support import INSTANTS, frame_of, kinds, noise, screened

from exporter.config.model import Selection
from exporter.screening.baseline import Settings
from exporter.screening.policy import policy_of
from exporter.screening.screen import screen

NAN, INF = np.nan, np.inf


def test_a_series_without_values_has_no_score():
    values = noise(3)
    values[1] = NAN
    result = screened(values)
    assert np.isnan(result.score).tolist() == [False, True, False]
    assert np.isnan(result.expected_lower).tolist() == [False, True, False]
    assert kinds(result)[1] is None
    assert result.evidence(1) == ()


def test_a_frame_without_values_has_no_scores():
    result = screened(np.full((2, INSTANTS), NAN))
    assert np.isnan(result.score).all()
    assert result.evidence(0) == ()


@pytest.mark.parametrize("instants", [0, 1, 2, 5, 13])
def test_a_window_that_is_too_short_has_no_scores(instants):
    values = noise(2, instants)
    result = screened(values)
    assert np.isnan(result.score).all()
    assert np.isnan(result.expected_upper).all()
    assert result.evidence(0) == ()


def test_the_first_score_comes_with_ten_values_before_the_judged_ones():
    assert not np.isnan(screened(noise(2, 14)).score).any()


def test_a_young_series_in_an_old_window_has_no_score_until_it_has_enough_values():
    values = noise(3)
    values[0, : INSTANTS - 15 - 9] = NAN
    values[1, : INSTANTS - 15 - 10] = NAN
    assert np.isnan(screened(values).score).tolist() == [True, False, False]


def test_a_frame_without_series_is_fine():
    result = screen(
        frame_of(np.empty((0, INSTANTS))), policy_of([Selection(series="load")], np.empty(0, dtype=np.intp))
    )
    assert result.score.shape == result.kind.shape == (0,)


def test_a_series_that_was_never_regular_and_is_absent_now_has_no_score_above_the_boundary():
    values = noise(2)
    values[1, ::2] = NAN
    values[1, -1] = NAN
    assert screened(values).score[1] < 0.5


def test_gaps_in_a_calm_series_leave_it_calm():
    random = np.random.default_rng(3)
    values = noise(500)
    values[random.uniform(size=values.shape) < 0.2] = NAN
    values[0] = noise(1)
    assert np.nanmax(screened(values).score) < 0.5


def test_a_spike_in_a_series_with_gaps_is_found():
    values = noise(50)
    values[1:, ::3] = NAN
    values[:, -1] = 200
    assert kinds(screened(values)) == ["spike"] * 50


@pytest.mark.parametrize("exponent", [-1000, -300, 0, 300, 980])
def test_scores_do_not_depend_on_the_scale(exponent):
    values = noise(100)
    values[:50, -1] += 100
    scale = 2.0**exponent
    assert np.array_equal(screened(values).score, screened(values * scale).score)


def test_a_drop_is_judged_like_the_spike_that_mirrors_it():
    values = noise(100)
    values[:, -1] += 60
    up, down = screened(values), screened(-values)
    assert np.allclose(up.score, down.score, rtol=1e-9)
    assert set(kinds(up)) == {"spike"}
    assert set(kinds(down)) == {"drop"}


def test_extreme_magnitudes_give_scores_without_overflow():
    wild = np.array([1e300, -1e300, 1e-300, -1e-300, 1.7e308, 5e-324, 0.0, 1.0])
    values = np.random.default_rng(5).choice(wild, size=(300, INSTANTS))
    score = screened(values).score
    assert ((score >= 0) & (score < 1)).all()


def test_an_infinite_value_in_the_history_does_not_hide_a_spike():
    values = noise(2)
    values[:, 40] = [INF, -INF]
    values[:, -1] = 200
    result = screened(values)
    assert kinds(result) == ["spike", "spike"]
    assert (result.expected_upper < 130).all()


def test_an_infinite_value_now_is_an_anomaly_and_one_that_was_always_there_is_not():
    values = noise(3)
    values[0, -1] = INF
    values[1, -1] = -INF
    values[2] = INF
    result = screened(values)
    assert kinds(result) == ["spike", "drop", None]
    assert result.score[2] == 0.0


def test_an_infinite_value_is_called_infinite():
    values = noise(1)
    values[0, -1] = INF
    said = {fact.detector: fact.text for fact in screened(values).evidence(0)}
    assert said["rank"].startswith("now +Inf, usually ")
    assert said["robust deviation"].startswith("+Inf lies ")
    assert said["jump"].startswith("rose by +Inf within 15 s, from ")


def test_a_value_before_a_short_gap_is_told_without_a_newest_one():
    values = noise(2)
    values[0, -2], values[0, -1] = 300.0, NAN
    assert "300, 15 s ago (no value now)" in screened(values).evidence(0)[0].text


def test_as_many_instants_are_judged_as_wanted():
    values = noise(20)
    values[:, -12] += 100
    assert screened(values).score.max() < 0.5
    assert screened(values, settings=Settings(judged=12)).score.min() > 0.5
    assert np.isnan(screened(values[:, -21:], settings=Settings(judged=12)).score).all()
    assert not np.isnan(screened(values[:, -22:], settings=Settings(judged=12)).score).any()


def test_copies_of_one_series_get_the_same_score():
    values = np.repeat(noise(1), 1000, axis=0)
    values[:, -1] += 30
    assert np.unique(screened(values).score).size == 1


def test_the_score_of_a_series_does_not_depend_on_the_others():
    values = noise(3000)
    values[::7, 50] = NAN
    values[::5, -1] += 40
    whole = screened(values)
    shuffled = np.random.default_rng(9).permutation(3000)
    assert np.array_equal(whole.score[shuffled], screened(values[shuffled]).score, equal_nan=True)
    # None with a gap: alone, that would be a gap of its target.
    for row in (1, 5, 999, 2999):
        assert screened(values[row]).score[0] == whole.score[row]


def test_screening_is_deterministic_and_leaves_the_frame_as_it_is():
    values = noise(50)
    values[3, 7], values[4, 9] = INF, NAN
    frame = frame_of(values.copy())
    policy = policy_of([Selection(series="load", valid_max=120.0)], frame.select)
    first, second = screen(frame, policy), screen(frame, policy)
    assert np.array_equal(frame.values, values, equal_nan=True)
    assert np.array_equal(first.score, second.score, equal_nan=True)
    assert first.frame is frame


def test_a_longer_expectation_of_calm_lowers_every_score():
    values = noise(300)
    values[:, -1] += np.linspace(0, 60, 300)
    daily = screened(values, settings=Settings(sensitivity_days=1)).score
    yearly = screened(values, settings=Settings(sensitivity_days=365)).score
    assert (yearly <= daily).all()
    assert (yearly < daily).any()


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
        elements=st.one_of(st.floats(), st.sampled_from([0.0, 1.0, NAN, INF, -INF])),
    )
)
def test_any_input_gives_scores_in_range_and_words_about_each_series(values):
    result = screened(values)
    scored = result.score[~np.isnan(result.score)]
    assert ((scored >= 0) & (scored < 1)).all()
    for row in range(len(values)):
        for fact in result.evidence(row):
            assert fact.text
            assert 0 <= fact.score < 1
