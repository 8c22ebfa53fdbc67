"""What a watch remembers of its targets, and what of it outlives a restart."""

import logging
import threading

import numpy as np
import pytest
from watching_past import DAY, HOUR, NOW, Life, Plant, Shelf

from exporter.screening.archive import COUNT
from exporter.screening.slots import MEAN
from exporter.watching.remembering import known_slots
from exporter.watching.tables import members_of

SPIKE = 10.0


def lived(plant, *, keeper, days=2.0, until=NOW, **watch):
    """A life that began so many days before, and was kept at its end."""
    life = Life(plant, keeper=keeper, at=until - days * DAY, **watch)
    life.live(days * DAY)
    life.trackers.keep()
    return life


@pytest.fixture(scope="module")
def before():
    """Two days with a spike in them, kept; and the shelf that keeps them."""
    plant, shelf = Plant(), Shelf()
    plant.events = [(NOW - 1.25 * DAY, NOW - 1.25 * DAY + 600, SPIKE), (NOW + HOUR, NOW + HOUR + 600, SPIKE)]
    return lived(plant, keeper=shelf), shelf, plant


@pytest.fixture
def shelf(before):
    """A copy of what was kept, to be changed as a test likes."""
    mine = Shelf()
    mine.kept = dict(before[1].kept)
    return mine


def test_after_a_restart_a_spike_that_was_seen_before_is_as_usual_as_without_one(before, shelf):
    plant = before[2]
    restarted = Life(plant, keeper=shelf)
    fresh = Life(plant)
    for life in (restarted, fresh):
        life.live(HOUR)
        assert life.clock.now() == NOW + HOUR
    assert restarted.tick()['x{row="0"}'] < 0.5
    assert fresh.tick()['x{row="0"}'] >= 0.5


@pytest.mark.parametrize("minutes", [0, 2, 29, 31, 59])
def test_all_series_are_known_at_once_at_whatever_minute_of_the_hour_it_starts(minutes):
    """While nothing is restarted, what is expected is worked out anew over the first quarter of each hour."""
    plant, shelf, at = Plant(series=20), Shelf(), NOW // HOUR * HOUR + minutes * 60
    lived(plant, keeper=shelf, days=1.1, until=at - 300)
    restarted = Life(plant, keeper=shelf, at=at)
    frame = plant.frame(at, 3600.0)
    judged = restarted.trackers.judge(frame, members_of(frame, restarted.watch))
    history = restarted.trackers._followed["t"].tracker.history
    days = history.advance(frame.series, frame.times, frame.values).days
    assert (days > 1).all()
    assert (judged.score < 0.5).all()


def test_a_restart_changes_no_score(before, shelf):
    """Screened in one go, or kept and taken up again by another: the same."""
    plant, other = before[2], Shelf()
    through = lived(plant, keeper=other)
    restarted = Life(plant, keeper=shelf)
    for _ in range(20):
        for life in (through, restarted):
            life.clock.advance(life.watch.interval)
        assert through.tick() == restarted.tick()


def test_after_a_long_rest_the_hours_between_are_unknown(before, shelf):
    restarted = Life(before[2], keeper=shelf, at=NOW + 10 * HOUR)
    restarted.tick()
    known = known_slots(before[0].archive()) + 1
    assert known_slots(restarted.archive()) == known - 10, (
        "with the hour that ran at the end, without 10 that are too old"
    )
    assert restarted.words() == ""


def test_what_another_query_gave_is_forgotten_and_the_rest_goes_on(before, shelf):
    select = [{"query": "x", "name": "x"}, {"query": "rate(y[5m])", "name": "y"}]
    restarted = Life(before[2], keeper=shelf, select=select)
    restarted.tick()
    known = ~np.isnan(restarted.archive().kept[:, MEAN]).all(axis=1)
    assert dict(zip([name for name, _ in restarted.archive().identities], known, strict=True)) == {
        "x": True,
        "y": False,
    }


def test_a_series_that_is_away_at_the_restart_is_remembered(before, shelf):
    plant, away = before[2], Plant(series=1)
    restarted = Life(plant, keeper=shelf)
    restarted.tick(away)
    restarted.clock.advance(300)
    assert not np.isnan(restarted.tick()['y{row="1"}'])
    assert restarted.words() == ""
    assert not np.isnan(restarted.archive().kept[1, MEAN]).all()


def test_one_that_is_away_and_no_longer_wanted_is_not(before, shelf):
    restarted = Life(before[2], keeper=shelf, select=[{"query": "x", "name": "x"}])
    restarted.tick(Plant(series=1))
    assert [name for name, _ in restarted.archive().identities] == ["x"]


@pytest.mark.parametrize(("history", "kept"), [("26h", 26), ("14d", 48)])
def test_another_length_of_history_keeps_the_newest_hours(before, shelf, history, kept):
    restarted = Life(before[2], keeper=shelf, history=history)
    restarted.tick()
    new, old = restarted.archive(), before[0].archive()
    assert known_slots(new) == kept
    for number in range(new.slot - kept, new.slot):
        columns = new.kept[:, :, number % new.kept.shape[2]], old.kept[:, :, number % old.kept.shape[2]]
        np.testing.assert_array_equal(*columns)


def test_slots_of_another_length_are_not_taken_up(before, shelf):
    restarted, fresh = (Life(Plant(step=7200.0), keeper=one, window="4h", interval="2h") for one in (shelf, None))
    for life in (restarted, fresh):
        life.tick()
    assert known_slots(restarted.archive()) == known_slots(fresh.archive())


def test_only_what_is_new_is_saved_and_a_full_disk_stops_nothing(before, shelf, caplog):
    life = Life(before[2], keeper=shelf)
    life.tick()
    life.trackers.keep()
    assert shelf.saves == 0, "nothing came since it was kept"
    life.live(600)
    shelf.full = True
    with caplog.at_level(logging.ERROR):
        life.trackers.keep()
    assert [record.message for record in caplog.records] == ["a history was not kept"]
    shelf.full = False
    life.trackers.keep()
    life.trackers.keep()
    assert shelf.saves == 1


def test_what_is_kept_stays_as_it_was_while_life_goes_on(before, shelf):
    life = Life(before[2], keeper=shelf)
    life.live(600)
    life.trackers.keep()
    kept = shelf.kept["t"].archive
    counted, seen = kept.running[COUNT].copy(), kept.seen
    life.live(7200)
    assert (kept.running[COUNT].tolist(), kept.seen) == (counted.tolist(), seen)


def test_nothing_is_copied_while_an_interval_is_at_work():
    """What is kept is of one moment: arrays that belong together change one after the other."""
    shelf = Shelf()
    life = Life(Plant(), keeper=shelf)
    life.tick()
    tracker = life.trackers._followed["t"].tracker
    begun, go_on = threading.Event(), threading.Event()
    judge = tracker.judge

    def slowly(*arguments):
        tracker.history.archive.running[COUNT] = -1.0
        begun.set()
        go_on.wait(10)
        tracker.history.archive.running[COUNT] = 31.0
        return judge(*arguments)

    tracker.judge = slowly
    ticking, keeping = threading.Thread(target=life.tick), threading.Thread(target=life.trackers.keep)
    ticking.start()
    assert begun.wait(10)
    keeping.start()
    keeping.join(0.2)
    assert keeping.is_alive()
    go_on.set()
    ticking.join()
    keeping.join()
    assert (shelf.kept["t"].archive.running[COUNT] == 31).all()


def test_without_a_keeper_nothing_is_asked_of_one():
    life = Life(Plant())
    life.live(600)
    life.trackers.keep()


@pytest.mark.parametrize(
    ("hours", "history", "words"),
    [
        pytest.param(0.5, "14d", "history: 0 of 14d; scores come from the window alone", id="just begun"),
        pytest.param(5, "14d", "history: 5h of 14d; scores come from the window alone", id="some hours"),
        pytest.param(25, "14d", "", id="a day"),
        pytest.param(0.5, "0s", "", id="none is wanted"),
        pytest.param(0.5, "6h", "", id="so short that it is never looked at"),
    ],
)
def test_the_words_say_how_much_history_there_is(hours, history, words):
    plant = Plant()
    plant.born = NOW // HOUR * HOUR
    life = Life(plant, at=plant.born, history=history)
    life.live(hours * HOUR)
    assert life.words() == words


def test_a_new_target_among_old_ones_is_told(before, shelf):
    life = Life(before[2], keeper=shelf)
    newcomer = Plant(target="u")
    life.tick()
    life.tick(newcomer)
    assert (
        life.trackers.words(["t", "u"])
        == "1 of 2 targets have less than a day of history: scores from the window alone"
    )
    assert life.trackers.words(["t"]) == ""


def test_a_target_that_is_gone_for_long_is_let_go_but_not_when_all_are():
    life, other = Life(Plant()), Plant(target="u")
    life.tick()
    life.tick(other)
    life.clock.advance(2 * DAY)
    life.trackers.forget([])
    assert set(life.trackers._followed) == {"t", "u"}, "the source was away"
    life.tick()
    life.trackers.forget(["t"])
    assert set(life.trackers._followed) == {"t"}
