"""One target over days: what may be relied on, whatever the series do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screening_support import HOUR, MIDNIGHT, followed, names, noise

from exporter.config.model import Selection
from exporter.screening.baseline import Settings
from exporter.screening.episodes import CALM_INSTANTS
from exporter.screening.history import DAY, History
from exporter.screening.policy import policy_of
from exporter.screening.result import KINDS
from exporter.screening.slots import MEAN
from exporter.screening.tracking import Tracker
from exporter.series.frame import Frame

NAN = np.nan
WEEK = 7 * 24
DAYS = 10 * 24


def mixture(instants, seed=1):
    """Eight series of different kinds, some with faults, gaps or infinite values."""
    random = np.random.default_rng(seed)
    values = noise(8, instants, seed)
    values[1] = 100 + 50 * np.sin(2 * np.pi * np.arange(instants) / 24) + values[1] / 10
    values[2] = random.poisson(3, size=instants)
    values[3] = 42.0
    values[3, instants // 2 :] = 43.0
    values[4, instants // 3 : instants // 3 + 4] += 300
    values[5, random.random(instants) < 0.3] = NAN
    values[6] = (7.0 * np.arange(instants)) % 200
    values[7, instants // 4] = np.inf
    return values


def same(one, other):
    return np.array_equal(one, other, equal_nan=True)


@settings(max_examples=8)
@given(cut=st.integers(20, 119), seed=st.integers(0, 9), change=st.sampled_from([NAN, 0.0, 1e6, np.inf]))
def test_later_values_never_change_an_earlier_score(cut, seed, change):
    values = mixture(120, seed)
    changed = values.copy()
    changed[:, cut:] = change
    first, second = followed(values), followed(changed[:, : cut + 1])
    assert same(first.score[:, :cut], second.score[:, :cut])
    assert [row[:cut] for row in first.kind] == [row[:cut] for row in second.kind]


def test_the_same_values_give_the_same_scores():
    values = mixture(150)
    kept = values.copy()
    first, second = followed(values), followed(values)
    assert same(first.score, second.score)
    assert first.kind == second.kind
    assert same(values, kept)


def test_ten_copies_of_one_series_have_the_same_scores():
    values = mixture(DAYS)[4]
    copies = followed(np.tile(values, (10, 1)))
    assert copies.alarm.any()
    assert all(same(row, copies.score[0]) for row in copies.score)
    assert all(row == copies.kind[0] for row in copies.kind)


def test_the_score_of_a_series_does_not_depend_on_the_others():
    values = mixture(150)
    whole = followed(values)
    for row in (0, 1, 2, 4):
        assert same(followed(values[row]).score[0], whole.score[row])


@pytest.mark.parametrize("exponent", [-900, -40, 40, 900])
def test_scores_do_not_depend_on_the_scale(exponent):
    values = mixture(100)[[0, 1, 2, 4]]
    assert same(followed(values).score, followed(values * 2.0**exponent).score)


def test_what_falls_is_judged_like_what_rises():
    values = mixture(150)[[0, 1, 4]]
    up, down = followed(values), followed(-values)
    assert np.allclose(up.score, down.score, rtol=1e-5, equal_nan=True)
    assert {"spike"} <= set(up.kind[2])
    assert {"drop"} <= set(down.kind[2])


@pytest.mark.parametrize("size", [1e290, -1e290, 1e-300, -1e-300, -5.0])
def test_calm_series_of_any_size_stay_calm(size):
    values = size * (1 + 0.05 * noise(3, DAYS, middle=0, spread=1))
    result = followed(values)
    assert not result.alarm.any()
    assert not np.isnan(result.score[:, 24:]).any()


def test_values_from_the_smallest_to_the_largest_give_scores_in_range():
    wild = np.array([1e300, -1e300, 1e-300, -1e-300, 1.7e308, 5e-324, 0.0, 1.0, np.inf, -np.inf, NAN])
    values = np.random.default_rng(5).choice(wild, size=(20, 80))
    result = followed(values)
    scored = result.score[~np.isnan(result.score)]
    assert ((scored >= 0) & (scored < 1)).all()
    for row in range(20):
        assert all(fact.text for fact in result.results[-1].evidence(row))


def test_a_series_without_values_never_has_a_score():
    values = noise(2, 60)
    values[1] = NAN
    result = followed(values)
    assert np.isnan(result.score[1]).all()
    assert set(result.kind[1]) == {None}
    assert not np.isnan(result.score[0, 24:]).any()
    assert np.isnan(followed(np.full((1, 60), NAN)).score).all()


def test_one_point_has_no_score_and_no_words():
    result = followed([[5.0]])
    assert np.isnan(result.score).all()
    assert result.results[0].evidence(0) == ()


def test_a_constant_that_moves_once_and_stays_is_one_episode_until_it_is_normal():
    values = np.full(DAYS, 5.0)
    values[WEEK:] = 6.0
    result = followed(values, settle=DAY)
    assert result.onsets() == [WEEK]
    assert result.alarm[0].sum() == 24
    assert set(result.score[0, 24:WEEK]) == {0.0}


def test_a_constant_that_moves_once_and_returns_is_one_episode():
    values = np.full(DAYS, 5.0)
    values[WEEK] = 6.0
    result = followed(values)
    assert result.onsets() == [WEEK]
    assert not result.alarm[0, WEEK + 24 + CALM_INSTANTS + 1 :].any()


def test_a_constant_that_never_moves_scores_zero():
    result = followed(np.repeat([[0.0], [1.0], [-3.5], [1e12], [1.7e9]], 60, axis=1))
    assert set(result.score[:, 24:].ravel()) == {0.0}


def test_blips_of_a_series_whose_deviation_is_zero_are_normal_once_seen_and_larger_ones_are_not():
    values = np.zeros((2, 12 * 24))
    values[:, 10::9] = 5.0
    values[1, 9 * 24 + 3] = 200.0
    result = followed(values)
    assert np.median(np.abs(values[0] - np.median(values[0]))) == 0
    assert not result.alarm[0, 5 * 24 :].any()
    assert result.onsets(1)[-1] == 9 * 24 + 3


def test_a_level_that_stays_becomes_normal_after_the_time_that_is_set():
    values = noise(3, DAYS)
    values[:, WEEK:] += 200
    for settle in (6 * HOUR, DAY):
        result = followed(values, settle=settle)
        steps = int(settle / HOUR)
        assert result.alarm[:, WEEK : WEEK + steps].all()
        assert not result.alarm[:, WEEK + steps :].any()
        assert {row[WEEK + 10 - 5] for row in result.kind} <= {"spike", "level_shift"}


def test_a_fault_of_the_same_height_the_next_day_is_calm_and_a_much_larger_one_is_not():
    values = noise(3, DAYS)
    values[:, WEEK : WEEK + 2] += 200
    again, larger = values.copy(), values.copy()
    again[:, WEEK + 48 : WEEK + 50] += 200
    larger[:, WEEK + 48 : WEEK + 50] += 2000
    assert followed(again).alarm[:, WEEK].all()
    assert not followed(again).alarm[:, WEEK + 48 :].any()
    assert followed(larger).alarm[:, WEEK + 48].all()


def test_an_alarm_is_one_episode_that_ends_soon_after_its_fault_has_passed():
    """An hour of +20 standard deviations after eight days, begun at each twelfth of an hour by the clock.

    The mean of the last hour takes the hour of the clock before into account, and knows of the fault for up to two hours; the
    mean of six hours does so for longer, and must not hold the alarm.
    """
    interval, per_hour, rows = 300.0, 12, 24
    values = noise(rows, 8 * 288 + 150)
    begins = 8 * 288 + np.arange(rows) % per_hour
    for row, begin in enumerate(begins):
        values[row, begin : begin + per_hour] += 100
    result = followed(values, interval=interval, window=288)
    late = {}
    for row, begin in enumerate(begins.tolist()):
        assert result.alarm[row, begin : begin + per_hour].all()
        assert [onset for onset in result.onsets(row) if onset >= begin] == [begin]
        held = int(result.alarm[row, begin + per_hour :].sum())
        if held > CALM_INSTANTS + 2 * per_hour:
            late[row] = held
    assert late == {}, (
        "instants in alarm after the fault, by row; a row begins so many twelfths of an hour late, modulo 12"
    )


def test_a_counter_that_grows_all_the_time_is_calm_though_it_is_always_at_its_highest():
    steady = 1e6 + 100.0 * np.arange(12 * 24)
    uneven = np.cumsum(np.random.default_rng(3).poisson(50, size=12 * 24)).astype(float)
    assert not followed([steady, uneven]).alarm[:, 3 * 24 :].any()


def test_resets_of_a_counter_are_normal_once_there_were_some():
    counter = np.arange(14.0 * 24) % 50 * 20 + noise(1, 14 * 24, middle=0, spread=2)[0]
    assert not followed(counter).alarm[0, WEEK:].any()


def test_a_value_that_leaves_for_exactly_zero_is_found_at_once():
    values = noise(3, DAYS)
    values[:, WEEK : WEEK + 5] = 0.0
    result = followed(values)
    assert result.alarm[:, WEEK].all()
    assert {row[WEEK] for row in result.kind} == {"drop"}


def test_a_series_that_freezes_is_found_after_days_of_moving():
    values = noise(3, 4 * 96)
    values[:, -40:] = values[:, -41, None]
    result = followed(values, interval=900.0, window=96)
    assert result.alarm[:, -30:].any(axis=1).all()
    assert {row[-1] for row in result.kind} <= {"flatline", None}


def test_a_series_born_during_an_anomaly_is_not_judged_before_it_has_a_past():
    values = noise(2, DAYS)
    values[:, WEEK - 2 : WEEK + 12] += 300
    values[1, :WEEK] = NAN
    result = followed(values)
    assert result.alarm[0, WEEK]
    assert np.isnan(result.score[1, : WEEK + 10]).all()
    assert not result.alarm[1, WEEK : WEEK + 12].any()
    assert not np.isnan(result.score[1, WEEK + 12 :]).any()


def test_a_series_that_vanishes_is_missing_and_is_calm_when_it_comes_back():
    values = noise(2, DAYS)
    values[1, WEEK : WEEK + 8] = NAN
    result = followed(values, window=96)
    assert "missing" in result.kind[1][WEEK : WEEK + 8]
    assert not result.alarm[1, WEEK + 24 :].any()
    assert not result.alarm[0].any()


@pytest.mark.parametrize("hours", [2, 30, 100, 20 * 24])
def test_after_a_gap_of_the_whole_target_calm_series_are_calm(hours):
    values = noise(3, DAYS)
    times = MIDNIGHT + HOUR * np.arange(DAYS)
    times[WEEK:] += hours * HOUR
    result = followed(values, times=times)
    assert not result.alarm.any()
    assert not np.isnan(result.score[:, 24:]).any()


def test_gaps_here_and_there_do_not_make_calm_series_odd():
    """120 series-days: by chance a calm one crosses the boundary about once in 30."""
    values = noise(12, DAYS, seed=3)
    values[np.random.default_rng(2).random(values.shape) < 0.1] = NAN
    result = followed(values)
    assert sum(len(result.onsets(row)) for row in range(12)) <= 8
    assert not np.isnan(result.score[:, 48:][~np.isnan(values[:, 48:])]).any()


def test_an_oddness_shorter_than_the_user_wants_is_not_shown():
    values = noise(2, 4 * 96)
    values[0, 3 * 96] += 300
    values[1, 3 * 96 : 3 * 96 + 8] += 300
    result = followed(values, interval=900.0, for_="1h", settle=DAY)
    assert result.onsets(1) == [3 * 96 + 4]
    assert not result.alarm[:, : 3 * 96 + 4].any()


SPIKE = [2000.0]
"""300 times what is usual, once: the mean of its hour is odd until two hours later."""


def level(hours):
    return [40.0] * (12 * hours)


@pytest.mark.parametrize(
    ("for_", "excess", "begins"),
    [
        pytest.param("0s", SPIKE, 0, id="a spike is shown where nothing is to be waited for"),
        pytest.param("10m", SPIKE, None, id="it has passed after ten minutes"),
        pytest.param("1h", SPIKE, None, id="and after an hour, whatever the mean of the hour says"),
        pytest.param("2h", SPIKE, None, id="and after two"),
        pytest.param("1h", [*SPIKE, *[0.0] * 8, *SPIKE], None, id="two spikes do not add up"),
        pytest.param("2h", level(1), None, id="a level of an hour is too short"),
        pytest.param("2h", level(3), 24, id="one of three hours is shown after two"),
        pytest.param("1h", level(3), 12, id="and after one where that is wanted"),
        pytest.param("2h", [-one for one in level(3)], 24, id="downwards too"),
    ],
)
def test_an_oddness_has_lasted_only_as_long_as_the_values_were_odd(for_, excess, begins):
    """Values each five minutes; the begin of the episode in instants after that of the excess, within two."""
    values = noise(1, 288 + 60)
    values[0, 288 : 288 + len(excess)] += excess
    onsets = [onset - 288 for onset in followed(values, interval=300.0, window=48, for_=for_).onsets() if onset >= 288]
    if begins is None:
        assert onsets == []
    else:
        assert onsets == [pytest.approx(begins, abs=2)]


def test_a_value_outside_the_valid_range_is_shown_at_once_and_for_as_long_as_it_is_there():
    values = noise(1, 6 * 24)
    values[0, 48:120] = 250.0
    result = followed(values, settle=6 * HOUR, for_="3h", valid_max=200.0)
    assert result.alarm[0, 48:120].all()
    assert result.onsets() == [48]


def expected_of(result):
    """What the history expects of each value, read from its slots: lowest, median and highest."""
    tracker = result.tracker
    frame = result.results[-1].frame
    past = tracker.history.advance(frame.series, frame.times, np.full_like(frame.values, NAN))
    return past.code.read(np.stack([past.expected.low[0], past.expected.median, past.expected.high[0]]))


def test_a_week_of_values_outside_the_valid_range_does_not_widen_what_is_expected():
    """A sensor says -1 while it is broken: known to be wrong, so to the history it is as if it had said nothing."""
    broken = noise(1, 48 + WEEK + 6)
    absent = broken.copy()
    broken[:, 48:-6], absent[:, 48:-6] = -1.0, NAN
    wanted = expected_of(followed(absent))
    assert 50 < wanted[0, 0] < wanted[2, 0] < 150
    assert same(expected_of(followed(broken, valid_min=0.0)), wanted)
    assert expected_of(followed(broken, settle=HOUR))[0, 0] < 0, "without a range it does"


def test_the_mean_of_an_hour_with_values_outside_the_valid_range_is_that_of_the_others():
    values = noise(1, 60)
    values[:, 2::3] = -1.0
    archive = followed(values, interval=900.0, window=16, valid_min=0.0).tracker.history.archive
    means = archive.kept[0, MEAN] * archive.code.scale[0] + archive.code.offset[0]
    by_hour = np.where(values[0] < 0, NAN, values[0]).reshape(-1, 4)[:-1]
    np.testing.assert_allclose(
        means[~np.isnan(means)], np.nanmean(by_hour, axis=1)[: np.count_nonzero(~np.isnan(means))], rtol=1e-4
    )


def test_after_a_time_of_values_outside_the_valid_range_what_is_odd_is_odd_as_before():
    values = noise(2, WEEK)
    values[0, 72:96] = -1.0
    values[:, 150] = 20.0
    result = followed(values, valid_min=0.0)
    assert result.alarm[0, 72:96].all()
    assert result.alarm[:, 150].all()


def test_an_infinite_value_in_the_first_hours_does_not_hide_what_lies_beyond_all_days_later():
    values = noise(2, DAYS)
    values[1, 3] = np.inf
    values[:, WEEK] += 300
    result = followed(values)
    assert [WEEK in result.onsets(row) for row in (0, 1)] == [True, True]


def frames(values, order=None, interval=HOUR, window=24):
    rows = np.arange(len(values)) if order is None else order
    series = tuple(names(len(values))[row] for row in rows)
    for end in range(1, values.shape[1] + 1):
        seen = slice(max(0, end - window), end)
        times = MIDNIGHT + interval * np.arange(values.shape[1])[seen]
        yield Frame("t", series, np.zeros(len(rows), dtype=np.intp), times, values[rows][:, seen], interval)


def tracker():
    return Tracker(History(HOUR, 14 * DAY), settle=DAY, interval=HOUR)


def judged(one, frame):
    policy = policy_of([Selection(series="load")], frame.select)
    return one.judge(frame, policy, Settings(judged=1))


def test_an_episode_stays_with_its_series_when_the_order_changes():
    values = noise(4, 60)
    values[2, 50:] += 300
    turned = np.array([3, 2, 1, 0])
    one, other = tracker(), tracker()
    plain = [judged(one, frame).score for frame in frames(values)]
    mixed = [
        judged(other, late if tick >= 53 else early).score
        for tick, (early, late) in enumerate(zip(frames(values), frames(values, turned), strict=True))
    ]
    assert plain[-1][2] >= 0.5
    for before, after in zip(plain[53:], mixed[53:], strict=True):
        assert same(before[turned], after)


def test_after_a_restart_scores_are_what_they_would_have_been():
    """The window is filled again by what a source keeps; the history comes from what was kept of it."""
    values = mixture(200)
    whole = followed(values)
    before = followed(values[:, :150])
    after = tracker()
    assert after.history.restore(before.tracker.history.archive)
    scores = [judged(after, frame).score for tick, frame in enumerate(frames(values)) if tick >= 150]
    assert same(np.array(scores).T, whole.score[:, 150:])


def test_frames_without_instants_or_series_are_fine():
    one = tracker()
    nothing = Frame("t", (), np.empty(0, dtype=np.intp), np.empty(0), np.empty((0, 0)), HOUR)
    assert judged(one, nothing).score.shape == (0,)
    for frame in frames(noise(2, 30)):
        judged(one, frame)
    empty = Frame("t", names(2), np.zeros(2, dtype=np.intp), np.empty(0), np.empty((2, 0)), HOUR)
    assert np.isnan(judged(one, empty).score).all()
    assert judged(one, nothing).score.shape == (0,)
    *_, last = frames(noise(2, 31))
    assert not np.isnan(judged(one, last).score).any()


def test_kinds_are_told_only_while_an_episode_goes_on():
    result = followed(mixture(DAYS))
    for row, told in enumerate(result.kind):
        assert [kind is not None for kind in told] == result.alarm[row].tolist()
        assert set(told) <= {None, *KINDS}
