"""Planted anomalies are found, with the right kind, for as long as they should be seen."""

import numpy as np
import pytest
from screening_support import INSTANTS, kinds, noise, screened

ROWS = 200


def planted(change, **base):
    values = noise(ROWS, **base)
    change(values)
    return values


def add(last, amount, until=None):
    def change(values):
        values[:, INSTANTS - last : until] += amount

    return change


def set_to(last, value):
    def change(values):
        values[:, INSTANTS - last :] = values[:, INSTANTS - last, None] if value == "frozen" else value

    return change


def swing(last, height):
    def change(values):
        values[:, INSTANTS - last :] += height * np.sin(0.5 + 0.5 * np.pi * np.arange(last))

    return change


FOUND = [
    pytest.param(swing(40, 40), "oscillation", id="to and fro each four instants"),
    pytest.param(add(1, 50), "spike", id="one value 10 standard deviations up"),
    pytest.param(add(1, -50), "drop", id="one value 10 standard deviations down"),
    pytest.param(add(3, 50, until=-2), "spike", id="a spike two instants ago that is over"),
    pytest.param(add(2, 50), "spike", id="two values up"),
    pytest.param(add(10, 25), "level_shift", id="a shift of 5 standard deviations ten instants ago"),
    pytest.param(add(20, 25), "level_shift", id="a shift twenty instants ago"),
    pytest.param(add(60, -25), "level_shift", id="a shift down a quarter of the window ago"),
    pytest.param(set_to(6, "frozen"), "flatline", id="frozen at its last value"),
    pytest.param(set_to(60, "frozen"), "flatline", id="frozen for a quarter of the window"),
    pytest.param(set_to(4, 0.0), "flatline", id="a rate gone to exactly zero"),
]


@pytest.mark.parametrize(("change", "kind"), FOUND)
def test_a_planted_anomaly_is_found_and_named(change, kind):
    result = screened(planted(change))
    found = [name for name in kinds(result) if name is not None]
    assert len(found) >= 0.97 * ROWS
    assert found.count(kind) >= 0.97 * len(found)


def test_a_series_that_stops_coming_is_missing_while_others_still_come():
    values = noise(ROWS)
    values[1:, -4:] = np.nan
    result = screened(values)
    assert kinds(result) == [None, *["missing"] * (ROWS - 1)]
    assert result.score[0] < 0.5


def test_two_absent_instants_are_a_hiccup():
    values = noise(ROWS)
    values[1:, -2:] = np.nan
    assert screened(values).score.max() < 0.5


def test_a_series_with_long_gaps_before_is_not_missing_in_another_one():
    values = noise(ROWS)
    for start in (20, 80, 150):
        values[1:, start : start + 12] = np.nan
    values[1:, -10:] = np.nan
    assert not (screened(values).score > 0.5).any()


def test_a_gap_of_the_whole_target_is_nobodys():
    whole = noise(ROWS)
    result = screened(np.insert(whole, [50, 50, 51, 240, 240, 240, 240], np.nan, axis=1))
    expected = screened(whole)
    assert np.array_equal(expected.score, result.score)
    assert np.array_equal(expected.kind, result.kind)


def test_a_constant_that_moves_once_is_an_anomaly():
    for before, after in [
        (5.0, 6.0),
        (1.0, 0.0),
        (0.0, 1.0),
        (0.0, 1e-9),
        (-2.0, 3.0),
        (100.0, 101.0),
        (1e300, -1e300),
    ]:
        values = np.full((1, INSTANTS), before)
        values[0, -1] = after
        result = screened(values)
        assert result.score[0] > 0.5
        assert kinds(result) == ["spike" if after > before else "drop"]


def test_a_constant_that_moves_by_rounding_is_calm():
    values = np.full((1, INSTANTS), 0.3)
    values[0, -1] = 0.1 + 0.2
    assert screened(values).score[0] < 0.5


def test_an_error_rate_that_was_zero_and_is_five_is_found():
    values = np.zeros((1, INSTANTS))
    values[0, -2:] = 5.0
    result = screened(values)
    assert result.score[0] > 0.8
    assert kinds(result) == ["spike"]


def test_the_more_often_a_blip_was_seen_the_less_it_is_an_anomaly():
    values = np.zeros((4, INSTANTS))
    values[1, [90]] = 5.0
    values[2, [30, 60, 90, 150]] = 5.0
    values[3, 10:200:5] = 5.0
    values[:, -1] = 5.0
    never, once, sometimes, often = screened(values).score
    assert never > 0.5 > once >= sometimes >= often


def test_a_blip_ten_times_as_high_as_the_ones_before_is_an_anomaly():
    values = np.zeros((1, INSTANTS))
    values[0, [30, 60, 90, 150]] = 5.0
    values[0, -1] = 50.0
    assert screened(values).score[0] > 0.5


def test_a_spike_seen_once_in_noise_makes_the_next_one_less_odd():
    fresh, again = noise(ROWS), noise(ROWS)
    again[:, 100] += 100
    fresh[:, -1] += 100
    again[:, -1] += 100
    first, second = screened(fresh).score, screened(again).score
    assert (first > 0.6).all()
    assert (second < first).all()


def test_a_spike_is_seen_for_as_many_instants_as_are_judged_and_then_is_over():
    seen = []
    for age in range(8):
        values = noise(ROWS)
        values[:, INSTANTS - 1 - age] += 100
        seen.append(float(np.mean(screened(values).score > 0.5)))
    assert seen[:4] == [1.0] * 4
    assert seen[4:] == [0.0] * 4


def test_a_new_level_is_seen_for_a_third_of_the_window_and_is_normal_afterwards():
    for age in (1, 4, 8, 12, 13, 14, 15, 16, 20, 40, 70):
        values = noise(ROWS)
        values[:, INSTANTS - age :] += 60
        assert np.mean(screened(values).score > 0.5) >= 0.99, age
    values = noise(ROWS)
    values[:, INSTANTS - 120 :] += 60
    assert np.mean(screened(values).score > 0.5) == 0.0


def test_a_jump_inside_the_range_of_a_smooth_curve_is_seen():
    curve = 100 + 50 * np.sin(np.arange(INSTANTS) / 40)
    curve[-1] -= 15
    result = screened(curve)
    assert curve[:-1].min() < curve[-1] < curve[:-1].max()
    assert result.score[0] > 0.5
    assert kinds(result) == ["drop"]


def test_a_new_level_is_over_when_no_judged_value_is_at_it_and_the_return_is_no_jump():
    values = noise(ROWS)
    values[:, 200:236] += 60
    assert not (screened(values).score > 0.5).any()
    values[:, 236:238] += 60
    result = screened(values)
    assert set(kinds(result)) == {"level_shift"}
    assert not any(fact.detector == "jump" for row in range(ROWS) for fact in result.evidence(row))


def test_without_history_all_that_is_odd_goes_on():
    values = noise(ROWS)
    values[:50, -1] += 60
    values[50:, -20:] += 25
    values[0] = np.nan
    result = screened(values)
    assert (result.score >= 0.5).any()
    np.testing.assert_array_equal(result.lasting, result.score)


def test_the_valid_range_names_the_kind_before_what_the_window_says():
    """A new level whose newest values are below the range: the level's own name comes after the drop."""
    values = noise(ROWS)
    values[:, -20:] -= 60
    assert set(kinds(screened(values))) == {"level_shift"}
    assert set(kinds(screened(values, valid_min=60.0))) == {"drop"}


def test_a_series_that_often_stands_is_no_flatline():
    values = np.round(noise(ROWS, middle=10, spread=0.6))
    values[:, -8:] = 10
    assert "flatline" not in kinds(screened(values))


def test_a_series_that_stood_for_most_of_the_window_is_no_flatline_any_more():
    values = noise(ROWS)
    values[:, 90:] = values[:, 90, None]
    assert not (screened(values).score > 0.5).any()
