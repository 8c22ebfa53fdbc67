"""Intervals over an hour: screened seldom, or collected seldom."""

import numpy as np
import pytest
from watching_past import DAY, HOUR, NOW, Life, Plant, Shelf

from exporter.screening.slots import MEAN
from exporter.watching.remembering import known_slots

SEVENTEEN_DAYS = 17 * DAY
BEGIN = NOW - SEVENTEEN_DAYS


def life_of(plant, **details):
    return Life(plant, at=BEGIN, interval="2h", history="14d", **details)


def scores_of(life, seconds):
    """The scores of the first series at each screening."""
    scores = []
    for _ in range(round(seconds / life.watch.interval)):
        life.clock.advance(life.watch.interval)
        scores.append(life.tick()['x{row="0"}'])
    return np.array(scores)


@pytest.mark.parametrize(("step", "slot"), [(300.0, HOUR), (2 * HOUR, 2 * HOUR)], ids=["screened", "collected"])
def test_each_two_hours_is_often_enough_for_days_of_history(step, slot):
    """A value each 5 minutes or each 2 hours: calm, then an hour or two far outside, then calm."""
    plant = Plant(step=step)
    odd = NOW - 2 * DAY // slot * slot
    plant.events = [(odd - 2 * HOUR + 1, odd + 1, 40.0)]
    life = life_of(plant, window="2d")
    scores = scores_of(life, SEVENTEEN_DAYS)
    assert not np.isnan(scores[30:]).any()
    onsets = BEGIN + 2 * HOUR * (1 + np.flatnonzero((scores >= 0.5) & (np.roll(scores, 1) < 0.5)))
    assert onsets.tolist() == [pytest.approx(odd, abs=2 * HOUR)]
    archive = life.archive()
    assert known_slots(archive) == 14 * DAY / slot
    assert archive.kept.shape[2] == 14 * DAY / slot + 1
    assert life.words() == ""


def test_what_comes_between_two_screenings_counts_in_the_means_of_its_hours():
    """Of the 24 values in between, 16 are judged one by one; the hour before last is remembered all the same."""
    plant = Plant(step=300.0)
    plant.events = [(NOW - 1.5 * HOUR, NOW - 1.25 * HOUR, 12.0)]
    life = Life(plant, at=NOW - 2 * HOUR, interval="2h", window="4h", history="14d")
    life.tick()
    life.clock.advance(2 * HOUR)
    life.tick()
    archive = life.archive()
    hour = archive.kept[0, MEAN, (archive.slot - 1) % archive.kept.shape[2]] * archive.code.scale[0]
    assert hour + archive.code.offset[0] == pytest.approx(plant_mean(plant, archive.slot - 1), rel=1e-4)


def plant_mean(plant, slot):
    """Of the values of one hour of the clock."""
    frame = plant.frame((slot + 1) * HOUR - plant.step, HOUR)
    return frame.values[0].mean()


@pytest.mark.parametrize("step", [300.0, 2 * HOUR])
def test_history_is_filled_and_kept_at_such_intervals_too(step):
    plant, shelf = Plant(step=step), Shelf()
    details = {"interval": "2h", "window": "2d", "history": "14d"}
    life = Life(plant, past=plant, keeper=shelf, **details)
    life.tick()
    life.trackers.fill(1e9, lambda: False)
    life.clock.advance(2 * HOUR)
    life.tick()
    slots = 14 * DAY / max(step, HOUR)
    assert known_slots(life.archive()) == pytest.approx(slots, abs=1)
    life.trackers.keep()
    restarted = Life(plant, keeper=shelf, at=life.clock.now() + 2 * HOUR, **details)
    assert restarted.tick()['x{row="0"}'] < 0.5
    assert known_slots(restarted.archive()) == pytest.approx(slots, abs=1)
    assert restarted.words() == ""
