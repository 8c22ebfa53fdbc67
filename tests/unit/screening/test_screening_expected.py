"""What days of summaries say agrees with what the values themselves say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screening_support import MIDNIGHT, names

from exporter.screening.expected import _YOUNG, SEASON_DAYS, Expected, expect, season_band
from exporter.screening.history import DAY, History
from exporter.screening.slots import (
    FIELDS,
    MAXIMUM,
    MINIMUM,
    SURPRISE,
    Code,
)

INTERVAL = 300.0
PER_HOUR = 12
NAN = np.nan
NEWEST, HOURLY, SIX = range(3)


def wave(days, seed, noisy):
    instants = np.arange(days * 288)
    noise = np.random.default_rng(seed).normal(size=instants.size)
    return 100 + 40 * np.sin(2 * np.pi * instants / 288) + noisy * noise


RAW = {
    "noise": np.random.default_rng(1).normal(100, 5, size=6 * 288),
    "a daily wave": wave(6, seed=2, noisy=1.0),
    "counts": np.random.default_rng(3).poisson(20, size=6 * 288).astype(float),
    "skewed": np.random.default_rng(4).exponential(size=6 * 288),
    "a slow walk": np.cumsum(np.random.default_rng(5).normal(size=6 * 288)),
    "negative and tiny": -1e-9 * np.random.default_rng(6).normal(5, 1, size=6 * 288),
    "gaps": np.where(np.random.default_rng(7).random(6 * 288) < 0.3, NAN, wave(6, seed=8, noisy=3.0)),
}


@pytest.fixture(scope="module", params=RAW)
def taught(request):
    """Values of 6 days, and what is expected from them in their own units, an interval after."""
    values = RAW[request.param]
    history = History(INTERVAL, 14 * DAY)
    times = MIDNIGHT + INTERVAL * np.arange(values.size + 1)
    for end in range(1, values.size + 2):
        seen = slice(max(0, end - 2 * PER_HOUR), end)
        past = history.advance(names(1), times[seen], np.append(values, values[-1])[None, seen])
    return values, past.expected, past.code


def hours_of(values):
    return values.reshape(-1, PER_HOUR)


def real(code, number, scale_only=False):
    return number * code.scale[0] + (0 if scale_only else code.offset[0])


def test_the_extremes_are_those_of_the_values(taught):
    values, expected, code = taught
    width = np.nanmax(values) - np.nanmin(values)
    assert real(code, expected.low[NEWEST, 0]) == pytest.approx(np.nanmin(values), rel=1e-6, abs=1e-6 * width)
    assert real(code, expected.high[NEWEST, 0]) == pytest.approx(np.nanmax(values), rel=1e-6, abs=1e-6 * width)
    assert expected.count[0] == 144


def test_the_usual_range_and_the_median_are_close_to_those_of_the_values(taught):
    """20 points of an hour do not reach its ends: for white noise the range comes out an eighth too short."""
    values, expected, code = taught
    low, middle, high = np.nanquantile(values, [0.005, 0.5, 0.995])
    assert real(code, expected.unit[NEWEST, 0], scale_only=True) == pytest.approx(high - low, rel=0.15)
    assert real(code, expected.median[0]) == pytest.approx(middle, abs=0.05 * (high - low))


@pytest.mark.parametrize("raw", RAW)
def test_the_extremes_of_means_of_six_hours_are_those_that_were_judged(raw):
    """Means end at any instant: extremes of those that end with an hour alone would make others look new."""
    values = RAW[raw]
    history = History(INTERVAL, 14 * DAY)
    times = MIDNIGHT + INTERVAL * np.arange(values.size + 1)
    judged = []
    for end in range(1, values.size + 2):
        seen = slice(max(0, end - 2 * PER_HOUR), end)
        past = history.advance(names(1), times[seen], np.append(values, values[-1])[None, seen])
        judged.append(past.means[1, 0])
    low, high = past.expected.low[SIX, 0], past.expected.high[SIX, 0]
    assert low == pytest.approx(np.nanmin(judged[:-1]), rel=1e-6, abs=1e-6)
    assert high == pytest.approx(np.nanmax(judged[:-1]), rel=1e-6, abs=1e-6)
    hourly = np.nanmean(hours_of(values), axis=1)
    rolled = past.code.write(np.convolve(hourly, np.ones(6) / 6, mode="valid"))
    assert low <= rolled.min() + 1e-6
    assert high >= rolled.max() - 1e-6


def test_means_of_an_hour_may_begin_at_any_instant(taught):
    values, expected, code = taught
    hourly = np.nanmean(hours_of(values), axis=1)
    width = np.nanmax(values) - np.nanmin(values)
    low, high = real(code, expected.low[HOURLY, 0]), real(code, expected.high[HOURLY, 0])
    assert low <= hourly.min() + 1e-6 * width
    assert high >= hourly.max() - 1e-6 * width
    rolled = np.array([np.nanmean(values[end - PER_HOUR : end]) for end in range(PER_HOUR, values.size)])
    assert low == pytest.approx(rolled.min(), abs=0.12 * width)
    assert high == pytest.approx(rolled.max(), abs=0.12 * width)


def test_a_robust_deviation_is_about_the_standard_deviation_of_gaussian_noise():
    history = History(INTERVAL, 14 * DAY)
    values = np.random.default_rng(11).normal(100, 5, size=(5, 6 * 288))
    times = MIDNIGHT + INTERVAL * np.arange(6 * 288)
    for end in range(PER_HOUR, 6 * 288 + 1, PER_HOUR):
        seen = slice(max(0, end - 2 * PER_HOUR), end)
        past = history.advance(names(5), times[seen], values[:, seen])
    assert past.expected.up * past.code.scale == pytest.approx(np.full(5, 5.0), rel=0.1)
    assert past.expected.down * past.code.scale == pytest.approx(np.full(5, 5.0), rel=0.1)


def kept_of(hourly, extremes=None, surprise=None):
    """Summaries [1 × FIELDS × slots] of hours in which the value stood still, in a code of 1."""
    hourly = np.asarray(hourly, dtype=float)
    kept = np.repeat(hourly[None, None, :], FIELDS, axis=1)
    if extremes is not None:
        kept[0, [MINIMUM, MAXIMUM]] = extremes
    kept[0, SURPRISE] = 0.0 if surprise is None else surprise
    return kept.astype(np.float32)


def said(hourly, usable=None, per_day=24, **more):
    slots = len(hourly)
    usable = np.ones(slots, dtype=bool) if usable is None else np.asarray(usable)
    return expect(kept_of(hourly, **more), usable[None, :], Code(np.zeros(1), np.ones(1)), per_day)


@settings(max_examples=30)
@given(
    hourly=st.lists(st.floats(-100, 100, width=16) | st.just(NAN), min_size=30, max_size=120),
    data=st.data(),
)
def test_extremes_are_those_of_the_slots_that_may_teach(hourly, data):
    usable = np.array(data.draw(st.lists(st.booleans(), min_size=len(hourly), max_size=len(hourly))))
    expected = said(hourly, usable)
    there = np.array(hourly)[usable & ~np.isnan(hourly)]
    assert expected.count[0] == there.size
    if there.size:
        assert (expected.low[NEWEST, 0], expected.high[NEWEST, 0]) == (there.min(), there.max())
        assert (expected.low[HOURLY, 0], expected.high[HOURLY, 0]) == (there.min(), there.max())
        assert expected.unit[NEWEST, 0] <= max(np.ptp(there), 0.01 * np.abs(there).max(), 1e-30) * (1 + 1e-6)
        assert (expected.unit[:2, 0] >= 0.0099 * np.abs(there).max()).all()
    else:
        assert np.isnan(expected.low[:, 0]).all()


def test_the_record_is_the_greatest_surprise_of_the_slots_that_may_teach_but_the_newest_few():
    surprise = np.arange(48.0)
    surprise[30] = NAN
    assert said(np.ones(48), surprise=surprise).record[0] == 47 - _YOUNG
    assert said(np.ones(48), surprise=np.roll(surprise, -_YOUNG)).record[0] == 47, "as soon as it is old enough"
    assert said(np.ones(48), np.arange(48) < 20, surprise=surprise).record[0] == 19
    assert said(np.full(48, NAN), surprise=surprise).record[0] == 0


def brute_breaks(hourly):
    """How far each hour left the band of its time of the day, an hour more or less, on up to 7 days before it."""
    above = below = 0.0
    for slot in range(len(hourly)):
        places = [slot - 24 * day + near for day in range(1, SEASON_DAYS + 1) for near in (-1, 0, 1)]
        band = [hourly[place] for place in places if place >= 0 and not np.isnan(hourly[place])]
        if len(band) >= 6 and not np.isnan(hourly[slot]):
            above, below = max(above, hourly[slot] - max(band)), max(below, min(band) - hourly[slot])
    return above, below


@pytest.mark.parametrize("seed", range(5))
def test_the_farthest_break_with_the_daily_shape_is_what_a_plain_loop_finds(seed):
    random = np.random.default_rng(seed)
    hourly = np.tile(100 + 50 * np.sin(2 * np.pi * np.arange(24) / 24), 10) + random.normal(size=240)
    hourly[random.integers(0, 240, 20)] = NAN
    hourly[200 + seed] += 9
    hourly[170 + seed] -= 7
    hourly = hourly.astype(np.float32).astype(float)
    expected = said(hourly)
    above, below = brute_breaks(hourly)
    assert expected.season_above[0] == pytest.approx(above, rel=1e-6)
    assert expected.season_below[0] == pytest.approx(below, rel=1e-6)
    changes = hourly[24:] - hourly[:-24]
    low, high = np.nanquantile(changes, [0.05, 0.95])
    assert expected.season_unit[0] == pytest.approx(max(high - low, 0.01 * np.nanmax(hourly)), rel=1e-6)


@pytest.mark.parametrize(
    ("hourly", "shaped"),
    [
        pytest.param(np.tile(np.arange(24.0), 5), True, id="the same each day"),
        pytest.param(np.tile(np.arange(24.0), 2), False, id="two days are too few to know"),
        pytest.param(np.random.default_rng(1).normal(size=240), False, id="noise"),
        pytest.param(np.tile(np.arange(36.0), 7), False, id="a period of 36 hours"),
    ],
)
def test_only_a_series_that_repeats_its_days_has_a_daily_shape(hourly, shaped):
    assert (not np.isnan(said(hourly).season_unit[0])) == shaped
    assert np.isnan(said(hourly, per_day=0).season_unit[0])


def test_the_band_of_a_time_of_day_is_of_the_hour_before_it_and_after_it_on_seven_days():
    means = np.arange(24.0 * 10)[None, :].astype(np.float32)
    low, high = season_band(means, np.ones(means.shape, dtype=bool), 24)
    assert (low[0], high[0]) == (240 - 7 * 24 - 1, 240 - 24 + 1)
    usable = np.ones(means.shape, dtype=bool)
    usable[0, 240 - 24 - 1 : 240 - 24 + 2] = False
    assert season_band(means, usable, 24)[1][0] == 240 - 48 + 1


def test_there_is_no_band_before_there_are_two_days_nor_without_whole_days():
    means, usable = np.ones((1, 40), dtype=np.float32), np.ones((1, 40), dtype=bool)
    assert np.isnan(season_band(means, usable, 24)).all()
    assert not np.isnan(season_band(np.ones((1, 50), dtype=np.float32), np.ones((1, 50), dtype=bool), 24)).any()
    assert np.isnan(season_band(means, usable, 0)).all()


def test_a_series_without_values_among_others_is_known_nothing_about():
    kept = np.concatenate([kept_of(np.arange(48.0)), kept_of(np.full(48, NAN))])
    expected = expect(kept, np.ones((2, 48), dtype=bool), Code(np.zeros(2), np.ones(2)), 24)
    assert expected.count.tolist() == [48, 0]
    assert np.isnan(expected.high[:, 1]).all()
    assert np.isnan([expected.median[1], expected.up[1], expected.season_unit[1]]).all()
    assert np.array_equal(expected.high[:, 0], said(np.arange(48.0)).high[:, 0])


def test_a_series_that_stands_still_has_a_range_of_a_hundredth_of_its_value():
    expected = said(np.full(48, 40.0))
    assert expected.unit[:, 0] == pytest.approx(0.4)
    assert said(np.zeros(48)).unit.min() > 0


def test_rows_can_be_taken_put_and_left_out():
    three = expect(
        np.concatenate([kept_of(np.arange(30.0) * size) for size in (1, 2, 3)]),
        np.ones((3, 30), dtype=bool),
        Code(np.zeros(3), np.ones(3)),
        24,
    )
    turned = three.taken(np.array([2, -1, 0]))
    assert turned.high[NEWEST].tolist()[::2] == [87, 29]
    assert (turned.count.tolist(), np.isnan(turned.median[1])) == ([30, 0, 30], True)
    blank = Expected.empty(3)
    blank.put(slice(1, 2), three.rows(slice(2, 3)))
    assert blank.count.tolist() == [0, 30, 0]
    assert blank.high[:, 1].tolist() == three.high[:, 2].tolist()


def test_how_widely_hours_spread_is_known_by_its_median_and_its_upper_quantiles(taught):
    values, expected, code = taught
    hours = hours_of(values)
    tenth, nine_tenths = np.nanquantile(hours, [0.1, 0.9], axis=1)
    middle, quarter, upper = np.nanquantile(nine_tenths - tenth, [0.5, 0.75, 0.9])
    assert real(code, expected.hour_range[0], scale_only=True) == pytest.approx(middle, rel=1e-3)
    least = max((quarter - middle) / 0.6745, (upper - middle) / 1.2816)
    assert real(code, expected.hour_range_up[0], scale_only=True) >= 0.999 * least
