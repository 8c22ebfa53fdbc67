"""Drift: steady ways that began within the window are found, curves and wanderings are not."""

import numpy as np
import pytest
from screening_shape_support import (
    BOUND,
    CALM,
    assert_block_says_what_rows_say,
    baseline,
    beyond,
    random,
)
from screening_support import INSTANTS, noise

from exporter.screening.detection import DRIFT
from exporter.screening.drift import drift
from exporter.screening.evidence import numbers_in

ROWS = 200
MEMORY = 512 * 2.0**20


def climb(rise, share, rows=ROWS, spread=1.0):
    """Noise around 100 that climbs, for the newest `share` of the window."""
    start = INSTANTS * (1 - share)
    way = np.clip(np.arange(INSTANTS) - start, 0, None) / (INSTANTS - start)
    return noise(rows, spread=spread) + rise * way


@pytest.mark.parametrize("name", CALM)
def test_calm_series_do_not_drift(name):
    assert beyond(drift(baseline(CALM[name]()))) <= BOUND


@pytest.mark.parametrize(
    ("rise", "share", "least"),
    [(30, 0.6, 0.9), (50, 0.5, 0.98), (50, 0.65, 0.99), (50, 0.75, 0.98), (100, 0.7, 0.99), (-50, 0.6, 0.99)],
)
def test_a_climb_or_fall_of_many_spreads_is_found(rise, share, least):
    found = drift(baseline(climb(rise, share)))
    assert beyond(found) >= least
    assert (found.kind == DRIFT).all()


def test_a_leak_without_noise_is_found():
    assert beyond(drift(baseline(climb(1e-3 * 100, 0.6, rows=1, spread=0.0)))) == 1


NO_DRIFTS = {
    "it always climbed": np.arange(INSTANTS) * 3.0,
    "it climbed faster before": np.cumsum(np.where(np.arange(INSTANTS) < 120, 3.0, 1.0)),
    "a parabola past its turn": (np.arange(INSTANTS) - 20.0) ** 2,
    "a step": np.where(np.arange(INSTANTS) < 120, 100.0, 200.0) + noise(1)[0],
    "a saw": np.arange(INSTANTS) % 60.0,
    "a climb that is over": np.clip(np.arange(INSTANTS) - 90.0, 0, 120),
    "a climb that turned back": 100.0 - np.abs(np.arange(INSTANTS) - 200.0),
    "a climb smaller than the noise": climb(3, 0.6, rows=1)[0],
    "two steps": np.repeat([100.0, 150.0, 200.0], 80),
}


@pytest.mark.parametrize("name", NO_DRIFTS)
def test_other_shapes_are_no_drift(name):
    assert drift(baseline(NO_DRIFTS[name])).log_tail[0] == 0


@pytest.mark.parametrize("period", [60, 120, 200, 240, 300, 400, 480, 720, 960, 1440, 5760])
def test_waves_of_any_length_and_phase_are_no_drift(period):
    phases = np.arange(0, period, max(period / 500, 1))[:, None]
    wave = np.sin(2 * np.pi * (np.arange(INSTANTS) + phases) / period)
    assert beyond(drift(baseline(wave))) == 0


def test_a_drift_counts_only_if_a_known_limit_is_near():
    rising = climb(50, 0.6)
    reached_in = {"an hour": 180.0, "three hours": 350.0, "a day": 2000.0}
    found = {name: beyond(drift(baseline(rising, valid_max=limit))) for name, limit in reached_in.items()}
    assert found == {"an hour": 1.0, "three hours": 1.0, "a day": 0.0}


def test_a_fall_counts_only_if_zero_is_near_unless_the_series_was_negative():
    assert beyond(drift(baseline(climb(-50, 0.6)))) == 1
    assert beyond(drift(baseline(climb(-50, 0.6) + 2000))) == 0
    assert beyond(drift(baseline(climb(-50, 0.6) - 2000))) == 1


def test_a_climb_through_the_whole_window_counts_only_if_the_limit_is_less_than_a_window_ahead():
    climbing = np.linspace(100.0, 200.0, INSTANTS) + noise(ROWS, middle=0.0, spread=1.0)
    assert beyond(drift(baseline(climbing))) == 0
    assert beyond(drift(baseline(climbing, valid_max=260.0))) == 1
    assert beyond(drift(baseline(climbing, valid_max=400.0))) == 0
    assert beyond(drift(baseline(climbing, valid_min=0.0))) == 0


def test_the_policy_decides_which_drifts_count():
    rising = climb(50, 0.6)
    assert beyond(drift(baseline(rising, direction="above"))) == 1
    assert beyond(drift(baseline(rising, direction="below"))) == 0


def test_a_mirrored_series_drifts_as_much_the_other_way():
    values = climb(50, 0.6)
    up, down = drift(baseline(values)).log_tail, drift(baseline(-values)).log_tail
    assert np.allclose(up, down)


def test_a_drift_shows_in_spite_of_gaps():
    values = climb(50, 0.6)
    values[random().random(values.shape) < 0.2] = np.nan
    values[:, 150:165] = np.nan
    assert beyond(drift(baseline(values))) >= 0.8


def test_no_series_fails_it():
    assert_block_says_what_rows_say(drift)


@pytest.mark.parametrize("instants", [8, 14, 24, 33, 60, 500])
def test_windows_of_any_length_are_calm_when_their_series_are(instants):
    assert beyond(drift(baseline(np.cumsum(random().normal(size=(2000, instants)), axis=1)))) <= 0.0005


def test_a_leak_in_words():
    leak = 256 * 2.0**20 + np.clip(np.arange(INSTANTS) - 60, 0, None) * 2.0**20
    said = drift(baseline(leak, valid_max=MEMORY)).words(0, "bytes")
    assert said == (
        "rises by 2.517e8 B (240 MiB) per hour for 44.8 min without a pause; "
        "at this rate it reaches 5.369e8 B (512 MiB) in 19.2 min"
    )
    assert numbers_in(said) == (2.517e8, 240.0, 44.8, 5.369e8, 512.0, 19.2)


def test_a_fall_towards_zero_in_words():
    free = 1000 - np.clip(np.arange(INSTANTS) - 96, 0, None) * 4.0
    assert drift(baseline(free)).words(0, "") == (
        "falls by 960 per hour for 34.8 min without a pause; at this rate it reaches 0 in 26.8 min"
    )


def test_a_ratio_is_told_when_it_is_full_and_a_plain_number_is_not():
    filling = 0.2 + np.clip(np.arange(INSTANTS) - 96, 0, None) * 0.004
    said = drift(baseline(filling))
    assert said.words(0, "ratio").endswith("; at this rate it reaches 1 in 14.2 min")
    assert said.words(0, "").endswith("per hour for 34.8 min without a pause")


def test_a_drift_that_goes_back_for_a_block_is_not_said_to_have_no_pause():
    found = drift(baseline(climb(20, 0.6)))
    texts = {text.endswith("without a pause") for row in range(ROWS) if (text := found.words(row, "")) is not None}
    assert texts == {True, False}


def test_a_calm_series_has_no_words():
    assert drift(baseline(noise(1))).words(0, "") is None
