"""History from a source that has the past: what was before the start is remembered as if it had been lived through."""

import logging

import numpy as np
import pytest
from watching_past import DAY, HOUR, NOW, Life, Plant, Shelf

from exporter.errors import RefusedError, TransientError
from exporter.screening.slots import MAXIMUM, MEAN, MINIMUM, SURPRISE
from exporter.watching.fill import fill_step
from exporter.watching.remembering import known_slots

SPIKE = 10.0
COARSE = 300.0
"""A step that is enough where what is asked for counts, and not what is found: a fifth of the instants to replay."""
LEAD = HOUR + 5 * COARSE
"""What is asked for beside: the window before the first instant, and as many instants as are judged at once."""


def never() -> bool:
    return False


def filled(plant, **details):
    """A life whose history was filled right after its first interval, and taken over at the next."""
    life = Life(plant, past=plant, **details)
    life.tick()
    life.trackers.fill(1e9, never)
    life.clock.advance(life.watch.interval)
    life.tick()
    return life


@pytest.mark.parametrize(
    ("step", "window", "filled_with"),
    [
        pytest.param(15, 3600, 60, id="a minute, as it is enough for the window"),
        pytest.param(7, 7200, 56, id="a multiple of the source's own step"),
        pytest.param(15, 600, 15, id="a short window needs every instant"),
        pytest.param(15, 1800, 30, id="between"),
        pytest.param(60, 3600, 60, id="the source's own"),
        pytest.param(300, 3600, 300, id="never finer than the source's own"),
    ],
)
def test_the_past_is_asked_for_at_a_coarser_step_where_the_window_allows_it(step, window, filled_with):
    assert fill_step(step, window) == filled_with


def test_the_past_is_asked_for_from_the_oldest_on_in_whole_hours_up_to_now():
    plant = Plant()
    life = filled(plant)
    lead = 60 * 65
    begins, ends, steps = (list(column) for column in zip(*plant.asked, strict=True))
    first = (NOW - 2 * DAY) // HOUR * HOUR
    assert begins[0] == first - lead
    assert [begin + lead for begin in begins[1:]] == ends[:-1], "nothing twice but what a window looks back at"
    assert ends == [first + DAY, first + 2 * DAY, NOW]
    assert set(steps) == {60.0}
    assert known_slots(life.archive()) == 2 * 24


def test_what_was_filled_is_what_a_watch_remembers_that_lived_through_it():
    plant = Plant(step=60.0)
    plant.events = [(NOW - 9 * HOUR, NOW - 9 * HOUR + 900, SPIKE), (NOW - 20 * HOUR, NOW - 20 * HOUR + 300, -SPIKE)]
    plant.events.append((NOW - 14 * HOUR, NOW - 14 * HOUR + 1800, np.nan))
    life = filled(plant, history="26h")
    through = Life(plant, at=NOW - 26 * HOUR, interval="1m", history="26h")
    through.live(26 * HOUR)
    new, old = life.archive(), through.archive()
    assert new.slot == old.slot
    ring = (new.slot - np.arange(1, 25)) % new.kept.shape[2]
    real = [(one.kept[:, :, ring] * one.code.scale[:, None, None]) for one in (new, old)]
    offset = (new.code.offset - old.code.offset)[:, None]
    for part in (MINIMUM, MEAN, MAXIMUM):
        np.testing.assert_allclose(real[0][:, part] + offset, real[1][:, part], atol=1e-3)
    surprise = [one.kept[0, SURPRISE][ring].max() for one in (new, old)]
    assert surprise[0] == pytest.approx(surprise[1], rel=0.25)
    assert surprise[0] > 20


@pytest.mark.parametrize("minutes", [1, 3, 5])
def test_what_an_episode_begins_with_at_the_end_of_an_hour_does_not_teach(minutes):
    plant = Plant(step=60.0)
    full = NOW // HOUR * HOUR
    plant.events = [(full - 60 * minutes, NOW + HOUR, SPIKE)]
    archive = filled(plant).archive()
    before = int(full // HOUR - 1) % archive.kept.shape[2]
    assert archive.kept[0, MAXIMUM, before] > archive.kept[0, MAXIMUM, before - 1]
    assert archive.unsettled[0, before]
    assert not archive.unsettled[0, before - 1]


def test_a_spike_of_the_days_before_the_start_is_nothing_new():
    """Two days ago it was as high as now, at this time of the day."""
    plant = Plant(step=60.0)
    plant.events = [(NOW - 2 * DAY + 600, NOW - 2 * DAY + 1200, SPIKE), (NOW + 600, NOW + 1200, SPIKE)]
    with_past = filled(plant, history="3d")
    without = Life(plant, history="3d")
    for life in (with_past, without):
        life.clock.advance(NOW + 900 - life.clock.now())
    assert with_past.tick()['x{row="0"}'] < 0.5
    assert without.tick()['x{row="0"}'] >= 0.5


def test_scores_do_not_wait_for_the_past():
    plant = Plant()
    life = Life(plant, past=plant)
    assert not np.isnan(list(life.tick().values())).any()
    assert plant.asked == []
    assert life.words() == "history filled up to 2023-11-12 12:00 UTC (0%)"


def test_the_past_is_filled_some_of_it_at_a_time_and_the_words_say_how_far():
    plant = Plant(step=COARSE)
    life = Life(plant, past=plant)
    life.tick()
    said = []
    while not said or said[-1]:
        plant.failures = []
        clock_stops(plant, life)
        life.trackers.fill(1.0, never)
        life.tick()
        said.append(life.words())
    assert [text[-5:] for text in said] == ["(49%)", "(99%)", ""]
    assert said[0] == "history filled up to 2023-11-13 12:00 UTC (49%)"
    assert len(plant.asked) == 3


def clock_stops(plant, life):
    """Each request takes as long as a turn may."""
    ask = Plant.past

    def slow(begin, end, step):
        life.clock._monotonic += 1.0
        return ask(plant, begin, end, step)

    plant.past = slow


def test_of_many_series_less_is_asked_for_at_once():
    plant = Plant(series=4000)
    life = Life(plant, past=plant)
    life.tick()
    life.trackers.fill(1e9, lambda: bool(plant.asked))
    ((begin, end, step),) = plant.asked
    assert (end - begin) / step * len(plant.series) < 2_400_000
    assert (end - begin - 65 * 60) % HOUR == 0


def test_a_source_that_fails_is_asked_again_later_for_less_and_the_rest_is_filled():
    plant = Plant(step=COARSE)
    plant.failures = [None, TransientError("timed out"), TransientError("timed out")]
    life = Life(plant, past=plant)
    life.tick()
    waits = []
    while life.words():
        life.trackers.fill(1e9, never)
        waits.append(len(plant.asked))
        life.clock.advance(10.0)
        life.tick()
    lengths = [(end - begin - LEAD) / HOUR for begin, end, _ in plant.asked]
    assert lengths[:4] == [24, 24, 12, 6]
    assert waits[:11] == [2, 2, 2, 3, 3, 3, 3, 3, 3, len(plant.asked), *waits[10:11]], "after 30 s, then after 60 s"
    assert known_slots(life.archive()) == 2 * 24


def test_a_source_that_keeps_failing_is_given_up_with_one_warning(caplog):
    plant = Plant()
    plant.failures = [RefusedError("query x was refused with 422: too many samples")] * 100
    life = Life(plant, past=plant)
    with caplog.at_level(logging.WARNING):
        for _ in range(60):
            life.trackers.fill(1e9, never)
            life.tick()
            life.clock.advance(60.0)
    assert len(plant.asked) == 6
    (record,) = caplog.records
    assert record.message == "a history could not be filled; it goes on with what there is"
    assert "too many samples" in record.fields["error"]
    assert life.words().startswith("history: 2h of 2d")


def test_what_came_before_it_was_given_up_is_used():
    plant = Plant(step=COARSE)
    plant.failures = [None, *[TransientError("down")] * 6]
    life = Life(plant, past=plant)
    life.tick()
    for _ in range(60):
        life.trackers.fill(1e9, never)
        life.clock.advance(60.0)
    life.tick()
    assert known_slots(life.archive()) >= 24
    assert life.words() == ""


def test_a_source_without_a_past_is_no_failure(caplog):
    plant = Plant(step=COARSE)
    plant.born = NOW - HOUR
    with caplog.at_level(logging.WARNING):
        life = filled(plant)
    assert caplog.records == []
    assert life.words() == "history: 1h of 2d; scores come from the window alone"


def kept(plant, *, until, days=2.25):
    """A shelf with a history that ends at this time."""
    shelf = Shelf()
    life = Life(plant, keeper=shelf, at=until - days * DAY, interval="10m")
    life.live(days * DAY)
    life.trackers.keep()
    return shelf


def test_after_a_restart_only_the_gap_is_asked_for():
    plant = Plant(step=COARSE)
    life = Life(plant, keeper=kept(plant, until=NOW - 6 * HOUR), past=plant)
    life.tick()
    life.trackers.fill(1e9, never)
    life.clock.advance(300)
    life.tick()
    assert [(begin + LEAD, end) for begin, end, _ in plant.asked] == [(NOW - 6 * HOUR, NOW)]
    assert known_slots(life.archive()) == 2 * 24
    assert life.words() == ""


def test_after_a_short_rest_nothing_is_asked_for():
    plant = Plant(step=COARSE)
    life = Life(plant, keeper=kept(plant, until=NOW - 0.5 * HOUR), past=plant)
    life.tick()
    life.trackers.fill(1e9, never)
    assert plant.asked == []


def test_a_gap_of_hours_in_between_is_filled_too():
    plant = Plant(step=COARSE)
    life = filled(plant)
    asked = len(plant.asked)
    life.clock.advance(5 * HOUR)
    life.tick()
    life.trackers.fill(1e9, never)
    life.clock.advance(300)
    life.tick()
    (((begin, end, _)),) = plant.asked[asked:]
    assert (begin + LEAD, end) == (NOW + 300, NOW + 300 + 5 * HOUR)
    assert known_slots(life.archive()) == 2 * 24


def test_a_kept_history_that_is_short_is_filled_from_the_beginning():
    plant = Plant(step=COARSE)
    life = Life(plant, keeper=kept(plant, until=NOW - 0.5 * HOUR, days=1.2), past=plant)
    life.tick()
    life.trackers.fill(1e9, never)
    life.tick()
    assert len(plant.asked) == 3
    assert known_slots(life.archive()) == 2 * 24


def test_a_source_that_lost_its_past_does_not_take_what_is_remembered():
    plant = Plant(step=COARSE)
    shelf = kept(plant, until=NOW - 0.5 * HOUR, days=1.5)
    plant.born = NOW - HOUR
    life = Life(plant, keeper=shelf, past=plant)
    life.tick()
    before = known_slots(life.archive())
    life.trackers.fill(1e9, never)
    life.tick()
    assert plant.asked
    assert known_slots(life.archive()) == before


def test_nothing_is_saved_before_it_is_filled_and_all_of_it_after():
    plant, shelf = Plant(step=COARSE), Shelf()
    life = Life(plant, keeper=shelf, past=plant)
    life.tick()
    life.trackers.keep()
    assert shelf.saves == 0
    life.trackers.fill(1e9, never)
    life.clock.advance(300)
    life.tick()
    life.trackers.keep()
    assert known_slots(shelf.kept["t"].archive) == 2 * 24
    assert set(shelf.kept["t"].meanings) == {"query x", "query y"}


def test_an_end_in_the_middle_is_at_once_and_no_failure(caplog):
    """As soon as the watch is closed nothing more is asked or replayed; a request that is broken off is no news."""
    plant = Plant()
    life = Life(plant, past=plant)
    life.tick()
    plant.failures = [TransientError("cancelled")]
    stop = iter([False, *[True] * 100])
    with caplog.at_level(logging.INFO):
        life.trackers.fill(1e9, lambda: next(stop))
    assert len(plant.asked) == 1
    assert [record.message for record in caplog.records] == ["a history is being filled from the source"]


def test_the_log_tells_what_was_filled_and_what_it_took(caplog):
    with caplog.at_level(logging.INFO):
        filled(Plant())
    begun, ended = caplog.records
    assert begun.message == "a history is being filled from the source"
    assert ended.message == "a history was filled from the source"
    figures = {name: ended.fields[name] for name in ("watch", "target", "days", "series", "requests", "step_seconds")}
    assert figures == {"watch": "w", "target": "t", "days": 2.0, "series": 2, "requests": 3, "step_seconds": 60.0}


@pytest.mark.parametrize("history", ["0s", "12h"])
def test_a_history_that_is_never_looked_at_is_not_filled(history):
    plant = Plant()
    life = Life(plant, past=plant, history=history)
    life.tick()
    life.trackers.fill(1e9, never)
    assert plant.asked == []
