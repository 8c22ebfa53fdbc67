"""A break with the daily shape, by hand and over days."""

from dataclasses import replace

import numpy as np
import pytest
from screening_support import baseline_with, followed, noise, past_of

from exporter.screening.past import LEAST_SLOTS
from exporter.screening.result import KINDS
from exporter.screening.seasonal import seasonal

SHAPED = {"season_unit": 2.0, "season_above": 1.0, "season_below": 0.5}


def said(hour, season=(4.0, 6.0), selection=None, **known):
    """How many boundaries it counts that the mean of the last hour is this."""
    past = past_of(means=(hour, 5), season=season, **{**SHAPED, **known})
    baseline = baseline_with(past, [[5.0]], **(selection or {}))
    return float((seasonal(baseline).log_tail / baseline.boundary)[0])


@pytest.mark.parametrize(
    ("hour", "counts"),
    [
        pytest.param(5.0, 0.0, id="inside the band"),
        pytest.param(6.9, 0.0, id="above it, but not as far as before"),
        pytest.param(7.0, 0.0, id="as far as before"),
        pytest.param(9.0, 1.0, id="a unit farther"),
        pytest.param(15.0, 4.0, id="four units farther"),
        pytest.param(3.5, 0.0, id="below it as far as before"),
        pytest.param(1.5, 1.0, id="below it a unit farther"),
        pytest.param(np.nan, 0.0, id="not known"),
    ],
)
def test_the_distance_beyond_band_and_record_is_measured_in_changes_from_day_to_day(hour, counts):
    assert said(hour) == pytest.approx(counts)


def test_a_series_without_a_daily_shape_or_band_or_history_has_no_break():
    assert said(100.0, season_unit=np.nan, season_above=np.nan, season_below=np.nan) == 0
    assert said(100.0, season=(np.nan, np.nan)) == 0
    assert said(100.0, hours=LEAST_SLOTS - 1) == 0


@pytest.mark.parametrize(
    ("selection", "hour", "counts"),
    [
        ({"direction": "above"}, 15.0, True),
        ({"direction": "above"}, -9.0, False),
        ({"direction": "below"}, 15.0, False),
        ({"direction": "below"}, -9.0, True),
        ({"min_change": "8"}, 15.0, True),
        ({"min_change": "10"}, 15.0, False),
        ({"min_change": "100%"}, 15.0, True),
        ({"min_change": "200%"}, 15.0, False),
    ],
)
def test_what_does_not_matter_to_the_user_does_not_count(selection, hour, counts):
    """The smallest change is measured from the end of the band, which is 4 to 6."""
    assert (said(hour, selection=selection) > 0) == counts


def test_the_words_tell_the_band():
    past = past_of(offset=100.0, scale=10.0, means=(9, 5), season=(4.0, 6.0), **SHAPED)
    detection = seasonal(baseline_with(past, [[150.0]]))
    assert detection.words(0, "seconds") == (
        "the mean of the last hour is 190 s (3.2 min); "
        "at this time of the day in the last 7 days it was between 140 and 160"
    )
    assert KINDS[detection.kind[0]] == "seasonal_break"
    assert seasonal(baseline_with(past_of(**SHAPED), [[5.0]])).words(0, "") is None


def test_the_words_name_the_interval_where_it_is_longer_than_an_hour():
    past = replace(past_of(means=(9, 5), season=(4.0, 6.0), **SHAPED), slot_hours=2.0)
    assert seasonal(baseline_with(past, [[5.0]])).words(0, "").startswith("the mean of the last 2 hours is 9; ")


def shaped_days(days, seed=1, rows=1):
    day = 100 + 50 * np.sin(2 * np.pi * np.arange(24) / 24)
    return np.tile(day, days) + noise(rows, 24 * days, seed=seed, middle=0, spread=1)


def test_a_night_as_busy_as_a_day_is_a_break_although_the_value_is_usual():
    values = shaped_days(10)
    night = 9 * 24 + 18
    values[0, night : night + 3] += 50
    assert values[0, :200].min() < values[0, night] < values[0, :200].max()
    result = followed(values)
    assert "seasonal_break" in result.kind[0][night : night + 3]
    assert not result.alarm[0, 4 * 24 : night].any()


def test_days_of_the_same_shape_are_no_break():
    result = followed(shaped_days(12, seed=7, rows=20))
    assert not any("seasonal_break" in row for row in result.kind)


def test_a_daily_peak_that_comes_an_hour_early_is_within_the_band():
    values = shaped_days(10)
    values[0, 9 * 24 :] = 100 + 50 * np.sin(2 * np.pi * np.arange(1, 25) / 24)
    assert "seasonal_break" not in followed(values).kind[0]
