"""Oscillation: new regular swings are found, noise and old habits are not."""

import numpy as np
import pytest
from screening_shape_support import BOUND, CALM, assert_block_says_what_rows_say, baseline, beyond, random
from screening_support import INSTANTS, noise

from exporter.screening.detection import OSCILLATION
from exporter.screening.evidence import numbers_in
from exporter.screening.oscillation import oscillation

ROWS = 200
MOMENTS = np.arange(INSTANTS)


def wave(period, height, shape="sine", rows=ROWS):
    """Swings of a height from lowest to highest point, at any phase."""
    swing = np.sin(2 * np.pi * (MOMENTS + random(2).uniform(0, period, size=(rows, 1))) / period)
    return height / 2 * (np.sign(swing) if shape == "square" else swing)


def swinging(period, height, last, shape="sine"):
    """Noise of standard deviation 1 that swings for the `last` instants."""
    return noise(ROWS, spread=1.0) + wave(period, height, shape) * (INSTANTS - last <= MOMENTS)


@pytest.mark.parametrize("name", CALM)
def test_calm_series_do_not_swing(name):
    assert beyond(oscillation(baseline(CALM[name]()))) <= BOUND


@pytest.mark.parametrize("shape", ["sine", "square"])
@pytest.mark.parametrize("last", [48, 60, 90])
@pytest.mark.parametrize("period", [3, 4, 5.5, 8, 12, 17, 20])
def test_a_swing_of_any_pace_is_found(period, last, shape):
    found = oscillation(baseline(swinging(period, 8, last, shape)))
    assert beyond(found) >= 0.95
    assert (found.kind == OSCILLATION).all()


def test_flapping_from_one_value_to_the_next_is_found():
    values = noise(ROWS, spread=1.0)
    values[:, -48:] += 5 * (-1.0) ** np.arange(48)
    assert beyond(oscillation(baseline(values))) >= 0.95


@pytest.mark.parametrize("last", [40, 60, 80])
def test_a_flag_that_flaps_after_it_was_constant_is_found(last):
    for period in (2, 6, 10):
        flag = np.where((INSTANTS - last <= MOMENTS) & (MOMENTS % period < period / 2), 0.0, 1.0)
        assert beyond(oscillation(baseline(flag))) == 1


def test_a_swing_inside_the_usual_range_is_found():
    values = noise(ROWS, spread=1.0)
    values[:, :60] -= 10
    values[:, 60:180] += 10
    values += wave(8, 12) * (MOMENTS >= INSTANTS - 48)
    assert values[:, -48:].max() < values[:, :180].max()
    assert beyond(oscillation(baseline(values))) >= 0.95


CALM_SHAPES = {
    "it always swung": lambda: noise(ROWS, spread=1.0) + wave(12, 20),
    "it swings faster than it did": lambda: np.where(MOMENTS < 180, wave(18, 20), wave(7, 20)),
    "it swung, and does not any more": lambda: noise(ROWS, spread=1.0) + wave(12, 20) * (MOMENTS < 180),
    "the swing ended a cycle ago": lambda: noise(ROWS, spread=1.0) + wave(8, 20) * ((MOMENTS > 170) & (MOMENTS < 228)),
    "it is slower than a third of the newest quarter": lambda: wave(40, 20) * (MOMENTS > 180),
    "noise that is ten times as loud": lambda: noise(ROWS, middle=0.0) * np.where(MOMENTS > 180, 10.0, 1.0),
    "one spike": lambda: noise(ROWS) + 500 * (MOMENTS == 230),
    "two spikes": lambda: noise(ROWS) + 500 * ((MOMENTS == 230) | (MOMENTS == 210)),
    "a step": lambda: noise(ROWS) + 500 * (MOMENTS > 215),
    "a swing lower than a fourth of the range": lambda: (
        np.where(MOMENTS % 50 < 25, 0.0, 1000.0) * (MOMENTS < 180) + wave(8, 100) * (MOMENTS >= 180)
    ),
    "rounding": lambda: 1e6 + np.where(MOMENTS >= 180, 1e-3 * (-1.0) ** MOMENTS, 0.0)[None],
}


@pytest.mark.parametrize("name", CALM_SHAPES)
def test_other_shapes_are_no_oscillation(name):
    assert beyond(oscillation(baseline(CALM_SHAPES[name]()))) <= 0.005


def test_a_swing_is_normal_when_it_fills_more_than_half_of_the_window():
    assert beyond(oscillation(baseline(swinging(8, 10, 200)))) == 0


def test_the_policy_decides_which_swings_count():
    values = swinging(8, 10, 60)
    assert beyond(oscillation(baseline(values, direction="above"))) == 1
    assert beyond(oscillation(baseline(values, min_change="4"))) == 1
    assert beyond(oscillation(baseline(values, min_change="8"))) == 0


def test_a_swing_shows_in_spite_of_gaps():
    values = swinging(8, 12, 60)
    values[random().random(values.shape) < 0.05] = np.nan
    assert beyond(oscillation(baseline(values))) >= 0.9


def test_a_segment_with_too_many_gaps_says_nothing():
    values = swinging(8, 12, 60)
    values[:, 200:212] = np.nan
    assert beyond(oscillation(baseline(values))) == 0


def test_a_history_of_gaps_says_nothing():
    values = swinging(8, 12, 60)
    values[:, :120:2] = np.nan
    assert beyond(oscillation(baseline(values))) == 0


def test_scaling_and_turning_over_changes_nothing():
    values = swinging(8, 8, 60)
    assert np.allclose(oscillation(baseline(values)).log_tail, oscillation(baseline(-64 * values)).log_tail)


def test_no_series_fails_it():
    assert_block_says_what_rows_say(oscillation)


@pytest.mark.parametrize("instants", [8, 63, 64, 100, 500])
def test_windows_of_any_length_are_calm_when_their_series_are(instants):
    assert beyond(oscillation(baseline(noise(2000, instants)))) <= 0.0005


def test_a_swing_in_words():
    values = np.where(MOMENTS % 2, 0.499, 0.501)
    values[180:] = np.tile([0.2, 0.2, 0.2, 0.8, 0.8, 0.8], 10)
    said = oscillation(baseline(values)).words(0, "seconds")
    assert said == (
        "swings between 0.2 and 0.8 s about every 90 s in the newest 14.8 min; before, regular swings were at most 0.002 high"
    )
    assert numbers_in(said) == (0.2, 0.8, 90.0, 14.8, 0.002)


def test_a_swing_after_a_standstill_in_words():
    values = np.full(INSTANTS, 5.0)
    values[190:] = np.tile([1.0, 9.0], 25)
    assert oscillation(baseline(values)).words(0, "").endswith("; before, regular swings were none")


def test_a_calm_series_has_no_words():
    assert oscillation(baseline(noise(1))).words(0, "") is None
