"""Scatter: values that jump about more, or less, than they ever did in the window."""

import numpy as np
import pytest
from screening_shape_support import BOUND, CALM, assert_block_says_what_rows_say, baseline, beyond, random
from screening_support import INSTANTS, noise

from exporter.screening.detection import FLATLINE, OSCILLATION
from exporter.screening.evidence import numbers_in
from exporter.screening.variance import variance

ROWS = 200


def scattered(factor, last, rows=ROWS, middle=100.0):
    """Noise whose distances from the middle are some times as large for the `last` instants."""
    values = noise(rows, middle=0.0)
    values[:, INSTANTS - last :] *= factor
    return middle + values


@pytest.mark.parametrize("name", CALM)
def test_calm_series_scatter_as_ever(name):
    assert beyond(variance(baseline(CALM[name]()))) <= BOUND


@pytest.mark.parametrize(
    ("factor", "last", "least"), [(5, 48, 0.5), (8, 32, 0.85), (10, 48, 0.97), (20, 20, 0.9), (20, 60, 0.95)]
)
def test_more_scatter_is_found_and_called_an_oscillation(factor, last, least):
    found = variance(baseline(scattered(factor, last)))
    assert beyond(found) >= least
    assert (found.kind[found.log_tail < 0] == OSCILLATION).all()


@pytest.mark.parametrize(("factor", "last", "least"), [(0.1, 32, 0.8), (0.1, 60, 0.8), (0.05, 48, 0.9)])
def test_less_scatter_is_found_and_called_a_flatline(factor, last, least):
    found = variance(baseline(scattered(factor, last)))
    assert beyond(found) >= least
    assert (found.kind[found.log_tail < 0] == FLATLINE).all()


def test_scatter_of_a_middle_of_zero_is_found():
    assert beyond(variance(baseline(scattered(10, 48, middle=0.0)))) >= 0.95


def test_scatter_is_normal_when_half_of_the_window_has_it():
    assert beyond(variance(baseline(scattered(10, 120)))) == 0


def test_scatter_that_came_before_is_no_news():
    values = noise(ROWS, middle=0.0)
    for start in (30, 110, 192):
        values[:, start : start + 48] *= 10
    assert beyond(variance(baseline(100 + values))) == 0


def one_spike(values):
    values[:, -3] += 500


def a_step(values):
    values[:, -20:] += 300


def a_trend(values):
    values += np.clip(np.arange(INSTANTS) - 180, 0, None) * 20.0


def a_standstill(values):
    values[:, -40:] = values[:, -40, None]


def a_load_that_is_four_times_as_high_and_as_noisy(values):
    values[:, -48:] *= 4


@pytest.mark.parametrize(
    "change", [one_spike, a_step, a_trend, a_standstill, a_load_that_is_four_times_as_high_and_as_noisy]
)
def test_other_changes_are_no_scatter(change):
    values = noise(ROWS, spread=10.0)
    change(values)
    assert beyond(variance(baseline(values))) == 0


def test_the_policy_decides_which_scatter_counts():
    noisy, still = scattered(10, 48), scattered(0.05, 48)
    found = {
        direction: (beyond(variance(baseline(noisy, direction=direction))) > 0.9,
                    beyond(variance(baseline(still, direction=direction))) > 0.9)
        for direction in ("both", "above", "below")
    }  # fmt: skip
    assert found == {"both": (True, True), "above": (True, False), "below": (True, False)}
    assert beyond(variance(baseline(noisy, min_change="500"))) == 0


def test_scatter_shows_in_spite_of_gaps():
    values = scattered(10, 48)
    values[random().random(values.shape) < 0.1] = np.nan
    assert beyond(variance(baseline(values))) >= 0.8


def test_scaling_and_shifting_a_series_of_no_particular_level_changes_nothing():
    values = scattered(10, 48, middle=0.0)
    assert np.allclose(variance(baseline(values)).log_tail, variance(baseline(1024 * values)).log_tail)
    assert np.allclose(variance(baseline(values)).log_tail, variance(baseline(-values)).log_tail)


def test_no_series_fails_it():
    assert_block_says_what_rows_say(variance)


@pytest.mark.parametrize("instants", [8, 24, 60, 100, 500])
def test_windows_of_any_length_are_calm_when_their_series_are(instants):
    assert beyond(variance(baseline(noise(2000, instants)))) <= 0.0005


def test_more_scatter_in_words():
    values = np.where(np.arange(INSTANTS) % 2, 99.0, 101.0)
    values[-50:] = np.tile([80.0, 120.0], 25)
    said = variance(baseline(values)).words(0, "bytes")
    assert said == (
        "for the newest 11.8 min neighbouring values typically differ by 40 B; in earlier stretches of that length it was about 2"
    )
    assert numbers_in(said) == (11.8, 40.0, 2.0)


def test_a_calm_series_has_no_words():
    assert variance(baseline(noise(1))).words(0, "") is None
