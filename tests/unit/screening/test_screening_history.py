"""What is remembered of a target: the same however it came in, through gaps, changes of series and restarts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screening_support import HOUR, MIDNIGHT, followed, names, noise

from exporter.screening.archive import BEGAN, CALM_SINCE, COUNT, ODD_SINCE, SUM
from exporter.screening.expected import _YOUNG, HOURS
from exporter.screening.history import _MOST_SURPRISE, DAY, History
from exporter.screening.past import LEAST_SLOTS
from exporter.screening.slots import LONG_HIGH, LONG_LOW, MAXIMUM, MEAN, MEAN_HIGH, MEAN_LOW, MEDIAN, MINIMUM, SURPRISE

NAN = np.nan
QUARTER = 900.0


def grid(instants, interval=QUARTER, start=MIDNIGHT):
    return start + interval * np.arange(instants)


def fed(values, *, chunks=None, interval=QUARTER, span=3 * DAY, window=8, times=None, series=None):
    """A history that took values in, some instants at a time; each frame reaches back `window` instants further."""
    values = np.atleast_2d(values)
    history = History(interval, span)
    times = grid(values.shape[1], interval) if times is None else times
    series = names(len(values)) if series is None else series
    end, past = 0, None
    for chunk in chunks or [1] * values.shape[1]:
        start, end = max(0, end - window), end + chunk
        past = history.advance(series, times[start:end], values[:, start:end])
    return history, past


def kept(history, field, row=0):
    """[slots before the one that runs, the oldest first] as the source gave them."""
    archive = history.archive
    slots = archive.kept.shape[2]
    order = (archive.slot + 1 + np.arange(slots - 1)) % slots
    return archive.kept[row, field, order].astype(float) * archive.code.scale[row] + archive.code.offset[row]


CHUNKS = st.lists(st.integers(1, 9), min_size=1, max_size=20)


@settings(max_examples=25)
@given(chunks=CHUNKS, data=st.data())
def test_how_values_came_in_makes_no_difference_to_the_summaries(chunks, data):
    instants = sum(chunks)
    rows = data.draw(st.integers(1, 3))
    values = np.round(noise(rows, instants, seed=data.draw(st.integers(0, 99))), 3)
    values[np.random.default_rng(1).random(values.shape) < 0.2] = NAN
    stepped, past = fed(values)
    jumped, other = fed(values, chunks=chunks)
    same = [field for field in range(SURPRISE) if field not in (MEAN_LOW, MEAN_HIGH, LONG_LOW, LONG_HIGH)]
    for field in same:
        assert np.array_equal(stepped.archive.kept[:, field], jumped.archive.kept[:, field], equal_nan=True)
    assert np.allclose(stepped.archive.running[[SUM, COUNT]], jumped.archive.running[[SUM, COUNT]])
    assert np.allclose(past.means, other.means, equal_nan=True)
    assert np.array_equal(past.season_low, other.season_low, equal_nan=True)
    assert (stepped.archive.slot, stepped.archive.seen) == (jumped.archive.slot, jumped.archive.seen)


@settings(max_examples=10)
@given(chunks=CHUNKS)
def test_the_means_of_an_hour_that_ended_in_a_slot_lie_around_its_own(chunks):
    history, _ = fed(noise(1, sum(chunks)), chunks=chunks)
    low, mean, high = (kept(history, field) for field in (MEAN_LOW, MEAN, MEAN_HIGH))
    known = ~np.isnan(mean)
    assert (low[known] <= high[known] + 1e-3).all()
    assert (np.isnan(low) == np.isnan(mean)).all()


def test_a_summary_is_of_the_values_of_an_hour_of_the_clock():
    values = noise(1, 12, seed=4)
    history, _ = fed(values, times=grid(12, start=MIDNIGHT + 1800))
    hours = [values[0, :2], values[0, 2:6], values[0, 6:10]]
    assert kept(history, MEAN)[-3:] == pytest.approx([hour.mean() for hour in hours], rel=1e-6)
    assert kept(history, MEDIAN)[-3:] == pytest.approx([np.median(hour) for hour in hours], rel=1e-6)
    assert kept(history, MINIMUM)[-3:] == pytest.approx([hour.min() for hour in hours], rel=1e-6)


def test_a_window_shorter_than_an_hour_loses_neither_the_mean_nor_the_extremes_of_an_hour():
    values = noise(1, 25)
    values[0, 5], values[0, 13] = 900.0, -900.0
    history, _ = fed(values, window=1)
    assert kept(history, MAXIMUM)[-5] == pytest.approx(900, rel=1e-6)
    assert kept(history, MINIMUM)[-3] == pytest.approx(-900, rel=1e-6)
    assert kept(history, MEAN)[-5] == pytest.approx(values[0, 4:8].mean(), rel=1e-6)


def test_instants_that_were_taken_in_are_not_taken_in_again():
    history, _ = fed(np.full((1, 7), 2.0), chunks=[3, 1, 1, 2], window=7)
    assert history.archive.running[[SUM, COUNT], 0].tolist() == [6.0, 3.0]


@pytest.mark.parametrize(("hours", "left"), [(1, 70), (5, 66), (30, 41), (71, 0), (72, 0), (73, 0), (500, 0)])
def test_of_a_gap_the_ring_keeps_what_is_not_older_than_its_span(hours, left):
    """Three days of hours; then the target gave nothing for a while, and gives two more instants."""
    times = np.concatenate([grid(72, HOUR), MIDNIGHT + HOUR * (71 + hours + np.arange(1, 3))])
    history, past = fed(noise(1, 74), interval=HOUR, times=times)
    mean = kept(history, MEAN)
    assert np.count_nonzero(~np.isnan(mean[:-1])) == left
    assert not np.isnan(mean[-1])
    assert past.expected.count[0] == left + 1


def test_after_a_gap_longer_than_the_ring_nothing_is_known_at_once():
    times = np.concatenate([grid(72, HOUR), [MIDNIGHT + 40 * DAY]])
    history, past = fed(noise(2, 73), interval=HOUR, times=times)
    assert np.isnan(history.archive.kept).all()
    assert past.expected.count.tolist() == [0, 0]
    assert not past.ready.any()
    assert np.isnan(past.expected.high).all()
    assert np.isnan(past.season_low).all()


def test_hours_of_a_gap_are_not_part_of_the_means_of_the_last_hours():
    """Two hours without values, and two hours after them."""
    values = np.concatenate([np.full(48, 10.0), np.full(2, 4.0)])
    times = np.concatenate([grid(48, HOUR), MIDNIGHT + HOUR * (48 + 2 + np.arange(2))])
    _, past = fed(values, interval=HOUR, times=times)
    assert past.code.read(past.means)[:, 0] == pytest.approx([4.0, (2 * 4.0 + 2 * 10.0) / 4])


def test_means_need_values_for_half_of_their_time():
    times = np.concatenate([grid(48, HOUR), [MIDNIGHT + 100 * HOUR]])
    _, past = fed(np.full(49, 10.0), interval=HOUR, times=times)
    assert np.isnan(past.means[:, 0]).tolist() == [False, True]


@pytest.mark.parametrize("interval", [300.0, QUARTER, HOUR])
def test_the_means_of_the_last_hours_are_those_of_the_values(interval):
    """The oldest hour is taken by the share that is left of it, so it is exact where its values are equal."""
    hours = np.random.default_rng(2).normal(100, 20, size=60)
    per_hour = int(HOUR / interval)
    values = np.repeat(hours, per_hour)[: -per_hour // 2] if per_hour > 1 else hours
    _, past = fed(values, interval=interval, window=2 * per_hour)
    found = past.code.read(past.means)[:, 0]
    expected = [values[-length * per_hour :].mean() for length in HOURS]
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_series_that_changes_its_place_keeps_what_is_known_of_it():
    values = noise(3, 200) * np.array([[1.0], [10.0], [100.0]])
    history, past = fed(values)
    before = [kept(history, MEAN, row) for row in range(3)]
    later = history.advance(tuple(reversed(names(3))), grid(200)[-8:], values[::-1, -8:])
    for field in ("low", "high", "unit", "median", "count"):
        assert np.array_equal(getattr(later.expected, field)[..., ::-1], getattr(past.expected, field), equal_nan=True)
    assert np.array_equal(later.means[:, ::-1], past.means)
    assert later.season_low[::-1].tolist() == pytest.approx(past.season_low.tolist(), nan_ok=True)
    for row in range(3):
        assert np.array_equal(kept(history, MEAN, 2 - row), before[row], equal_nan=True)


@pytest.mark.parametrize(("away", "known"), [(1, True), (20, True), (30, False)])
def test_a_series_that_comes_back_within_a_day_is_remembered(away, known):
    values = noise(2, 48)
    history, _ = fed(values, interval=HOUR)
    steps = 48 + away
    for hour in range(48, steps):
        history.advance(names(2)[:1], grid(hour + 1, HOUR)[-2:], values[:1, :2])
    # A new series while it was away: those that are gone for longer are let go when the series change.
    history.advance((names(2)[0], *names(4)[2:]), grid(steps + 1, HOUR)[-1:], values[[0, 0, 0], :1])
    past = history.advance(names(2), grid(steps + 2, HOUR)[-1:], values[:, :1])
    assert (past.expected.count[1] > 40) == known
    assert (not np.isnan(past.code.offset[1])) == known


def test_a_series_that_is_new_is_known_nothing_about():
    values = noise(1, 48)
    history, _ = fed(values, interval=HOUR)
    past = history.advance(names(2), grid(49, HOUR)[-1:], np.array([[100.0], [5.0]]))
    assert past.ready.tolist() == [True, False]
    assert np.isnan(past.means[:, 1]).all()
    assert past.days[1] == 0


def test_a_slot_in_which_a_series_was_absent_is_empty_for_it():
    values = noise(2, 40)
    values[1, 8:12] = NAN
    history, _ = fed(values)
    assert np.isnan(kept(history, MEAN, row=1)).tolist()[-9:] == [False, False, True, *[False] * 6]
    assert not np.isnan(kept(history, MEAN)[-9:]).any()


def test_what_a_restored_history_says_is_what_the_one_that_was_kept_said():
    values = noise(3, 80)
    whole, expected = fed(values, interval=HOUR)
    before, _ = fed(values[:, :70], interval=HOUR)
    after = History(HOUR, 3 * DAY)
    assert after.restore(before.archive)
    for end in range(71, 81):
        past = after.advance(names(3), grid(end, HOUR)[-8:], values[:, end - 8 : end])
    assert np.array_equal(after.archive.kept, whole.archive.kept, equal_nan=True)
    for field in ("count", "low", "high", "unit", "season_unit", "record"):
        assert np.array_equal(getattr(past.expected, field), getattr(expected.expected, field), equal_nan=True)
    assert np.array_equal(past.means, expected.means, equal_nan=True)


def test_a_history_of_another_span_is_not_restored():
    history, _ = fed(noise(1, 80), interval=HOUR, span=3 * DAY)
    other = History(HOUR, 4 * DAY)
    assert not other.restore(history.archive)
    assert len(other.archive.identities) == 0


def test_a_restored_history_knows_everything_from_the_first_instant_even_late_in_the_hour():
    before, _ = fed(noise(100, 200))
    after = History(QUARTER, 3 * DAY)
    after.restore(before.archive)
    past = after.advance(names(100), grid(201)[-1:], noise(100, 1))
    assert past.ready.all()


def test_what_is_expected_is_worked_out_anew_within_a_quarter_of_an_hour_some_series_each_time():
    """The hour that ended had a new extreme in all series."""
    interval, rows = 60.0, 320
    values = noise(rows, 60 * 26)
    values[:, -90] += 500
    history, past = fed(values[:, :-60], interval=interval, window=61, chunks=[60] * 25)
    knew = []
    for end in range(60 * 25 + 1, 60 * 26 + 1):
        past = history.advance(names(rows), grid(end, interval)[-61:], values[:, end - 61 : end])
        knew.append(int(np.count_nonzero(past.code.read(past.expected.high)[0] > 400)))
    assert knew == sorted(knew)
    assert 0 < knew[0] < rows / 5
    assert rows / 3 < knew[6] < rows
    assert knew[14] == rows


def test_new_series_in_the_middle_of_the_hour_do_not_put_off_what_is_known_of_others():
    values = noise(5, 200)
    history, _ = fed(values[:4])
    past = history.advance(names(5), grid(201)[-1:], values[:, :1])
    assert past.ready.tolist() == [True] * 4 + [False]


@pytest.mark.parametrize("interval", [HOUR, 2 * HOUR])
def test_with_an_interval_of_hours_each_instant_is_a_slot(interval):
    values = noise(1, 40)
    history, past = fed(values, interval=interval, span=10 * DAY)
    assert kept(history, MEAN)[-39:] == pytest.approx(values[0, :39], rel=1e-6)
    assert past.expected.count[0] == 39
    assert past.days[0] == pytest.approx(39 * interval / DAY)


@pytest.mark.parametrize("interval", [HOUR, 2 * HOUR])
def test_the_band_of_the_time_of_day_holds_for_intervals_that_divide_a_day(interval):
    per_day = int(DAY / interval)
    day = 100 + 50 * np.sin(2 * np.pi * np.arange(per_day) / per_day)
    _, past = fed(np.tile(day, 8)[: -per_day // 2], interval=interval, span=10 * DAY)
    low, high = past.code.read(past.season_low)[0], past.code.read(past.season_high)[0]
    around = day[[per_day // 2 - 2, per_day // 2 - 1, per_day // 2]]
    assert (low, high) == pytest.approx((around.min(), around.max()), rel=1e-5)


def test_there_is_no_time_of_day_where_a_day_is_no_whole_number_of_intervals():
    _, past = fed(noise(1, 300), interval=7000.0, span=14 * DAY)
    assert past.ready.all()
    assert np.isnan(past.season_low).all()


@pytest.mark.parametrize("changes_at", ["2023-10-29T01:00Z", "2023-03-26T01:00Z"])
def test_the_clocks_of_people_play_no_part(changes_at):
    """Slots are hours of Unix time: what is known does not depend on where in the year 8 days lie."""
    start = (np.datetime64(changes_at.removesuffix("Z")) - np.datetime64("1970-01-01")) / np.timedelta64(
        1, "s"
    ) - 6 * DAY
    start = float(start) // DAY * DAY
    day = 100 + 50 * np.sin(2 * np.pi * np.arange(24) / 24)
    values = np.tile(day, 8) + noise(1, 192, middle=0, spread=1)
    _, here = fed(values, interval=HOUR, span=10 * DAY, times=grid(192, HOUR, start))
    _, there = fed(values, interval=HOUR, span=10 * DAY)
    assert np.array_equal(here.season_low, there.season_low)
    assert np.array_equal(here.expected.season_unit, there.expected.season_unit)
    assert np.array_equal(here.means, there.means)


def test_a_clock_that_is_set_back_does_not_stop_learning():
    """The times of the values that a window still holds move along, as a scrape source has it."""
    values = noise(1, 100)
    steady, expected = fed(values, interval=HOUR)
    moved, _ = fed(values[:, :70], interval=HOUR)
    for end in range(71, 101):
        past = moved.advance(names(1), grid(end, HOUR)[-8:] - 3000 * DAY, values[:, end - 8 : end])
    assert np.array_equal(kept(moved, MEAN), kept(steady, MEAN))
    assert past.expected.count.tolist() == expected.expected.count.tolist()
    assert past.means[:, 0].tolist() == expected.means[:, 0].tolist()
    assert moved.archive.last_seen[0] == grid(100, HOUR)[-1] - 3000 * DAY


def test_a_clock_that_is_set_back_moves_episodes_along():
    history, _ = fed(noise(1, 50), interval=HOUR)
    history.archive.episode[[BEGAN, ODD_SINCE], 0] = history.archive.seen - 600
    history.advance(names(1), np.array([MIDNIGHT - DAY]), np.array([[1.0]]))
    assert history.archive.episode[[BEGAN, ODD_SINCE], 0].tolist() == [MIDNIGHT - DAY - HOUR - 600] * 2
    assert np.isnan(history.archive.episode[CALM_SINCE, 0])


@pytest.mark.parametrize(("values", "teaches"), [(1, False), (14, False), (15, True), (60, True)])
def test_the_first_hour_teaches_only_from_a_quarter_of_its_values_on(values, teaches):
    """The mean of the one minute before the hour is no mean of an hour."""
    series = np.concatenate([np.full(values, 900.0), np.full(62, 5.0)])
    history, _ = fed(series, interval=60.0, times=grid(series.size, 60.0, MIDNIGHT - 60 * values))
    for field in (MAXIMUM, MEAN):
        first, second = kept(history, field)[-2:]
        assert np.isnan(first) != teaches
        assert second == pytest.approx(5.0, rel=1e-4)


def test_a_series_that_comes_later_is_new_in_its_own_first_hour_whatever_comes_after_it():
    values, history = noise(3, 125), History(60.0, 3 * DAY)
    for end in range(2, 126):
        rows = [0] if end < 58 else [0, 1] if end == 58 else [2, 1, 0]
        series = tuple(names(3)[row] for row in rows)
        history.advance(series, grid(end, 60.0)[-2:], values[rows, end - 2 : end])
    learned = [(~np.isnan(kept(history, MEAN, row)[-2:])).tolist() for row in range(3)]
    assert learned == [[False, True], [False, True], [True, True]]


def test_a_series_that_has_few_values_in_every_hour_learns_from_its_second_on():
    values = np.where(np.arange(300) % 60 == 50, 7.0, NAN)
    history, _ = fed(values, interval=60.0, window=60)
    assert np.count_nonzero(~np.isnan(kept(history, MEAN))) == 3


def test_infinite_values_are_as_good_as_none():
    values = noise(2, 100)
    values[1, 0:6] = np.inf
    values[1, 50] = -np.inf
    history, past = fed(values, interval=HOUR)
    assert past.expected.count.tolist() == [72, 71]
    assert np.isfinite(kept(history, MAXIMUM, row=1)[-40:]).all()
    assert past.code.read(past.expected.low)[0, 1] > 50
    assert past.code.read(past.expected.high)[0, 1] < 150


def test_a_series_that_began_as_infinite_has_its_digits_when_it_is_finite():
    values = np.concatenate([np.full(30, np.inf), 5 + 0.01 * noise(1, 40, middle=0, spread=1)[0]])
    history, past = fed(values, interval=HOUR)
    assert past.expected.count[0] == 39
    assert kept(history, MEAN)[-39:] == pytest.approx(values[-40:-1], rel=1e-6)


def test_the_slots_of_an_episode_teach_when_it_is_over():
    values = noise(1, 60)
    values[0, 50:] += 500
    history, quiet, loud, nothing = History(HOUR, 3 * DAY), np.zeros(1), np.array([True]), np.array([False])
    counts, highs = [], []
    for end in range(1, 61):
        past = history.advance(names(1), grid(end, HOUR)[max(0, end - 8) : end], values[:, max(0, end - 8) : end])
        counts.append(float(past.expected.count[0]))
        highs.append(float(past.code.read(past.expected.high)[0, 0]))
        history.learn(quiet, loud if 50 < end < 56 else nothing, loud if end == 56 else nothing)
    assert counts[51:56] == [50.0] * 5
    assert max(highs[51:56]) < 200
    assert counts[56] == 56
    assert highs[56] > 500


def records_after(surprises, instants):
    """Of a series whose surprise was 1 nat but at these instants, and of one that never had one."""
    history, at = History(QUARTER, 3 * DAY), dict(surprises)
    for end in range(1, instants + 1):
        past = history.advance(names(2), grid(end)[-8:], noise(2, end)[:, -8:])
        history.learn(np.array([at.get(end - 1, 1.0), NAN]), np.zeros(2, bool), np.zeros(2, bool))
    return past.expected.record.tolist()


def test_the_greatest_surprise_of_an_hour_is_remembered_for_it():
    assert records_after([(50, 25.0)], instants=140) == pytest.approx([25.0, 0.0])


def test_a_surprise_is_remembered_for_no_more_than_so_many_nats():
    assert records_after([(50, 500.0)], instants=140) == pytest.approx([_MOST_SURPRISE, 0.0])


def test_the_surprises_of_the_newest_hours_are_no_record_yet():
    """The slot of the surprise is the 13th; it counts once `_YOUNG` slots after it are full."""
    young = 4 * (12 + 1 + _YOUNG)
    assert records_after([(50, 25.0)], instants=young) == pytest.approx([1.0, 0.0])
    assert records_after([(50, 25.0)], instants=young + 1) == pytest.approx([25.0, 0.0])


def test_what_was_said_at_an_instant_stays_as_it_was():
    values = noise(1, 70)
    values[0, 50] = 900.0
    history, past = fed(values[:, :51], interval=HOUR)
    before = past.expected.high.copy()
    later = history.advance(names(1), grid(52, HOUR)[-8:], values[:, 44:52])
    assert past.expected.high.tolist() == before.tolist()
    assert later.expected.high[0, 0] > before[0, 0]


def test_a_frame_without_instants_changes_nothing():
    history, before = fed(noise(2, 60), interval=HOUR)
    past = history.advance(names(2), np.empty(0), np.empty((2, 0)))
    assert np.array_equal(past.expected.high, before.expected.high)
    assert history.archive.seen == MIDNIGHT + 59 * HOUR
    empty = History(HOUR, DAY).advance((), np.empty(0), np.empty((0, 0)))
    assert empty.days.size == 0


def test_a_history_is_ready_after_as_many_hours_as_it_needs():
    ready = [
        fed(noise(1, hours), interval=HOUR)[1].ready[0] for hours in (LEAST_SLOTS - 1, LEAST_SLOTS, LEAST_SLOTS + 1)
    ]
    assert ready == [False, False, True]


def test_quiet_sundays_after_busy_weekdays_are_no_break_with_the_daily_shape():
    """From the ninth day on there was a Sunday before; seen or not, the shape of a week is no news."""
    days = np.array([1.0 if (day + 1) % 7 else 0.2 for day in range(22)])
    day = 100 + 50 * np.sin(2 * np.pi * np.arange(24) / 24 - 1)
    values = (days[:, None] * day).ravel() + noise(1, 22 * 24, middle=0, spread=1)[0]
    result = followed(values)
    assert "seasonal_break" not in result.kind[0][8 * 24 :]
    assert not result.alarm[0, 14 * 24 :].any()
