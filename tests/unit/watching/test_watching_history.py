"""A watch that is young says so, as its state's reason: scores are there all the same, and no score is a zero."""

import numpy as np
import pytest
from watching_past import HOUR, NOW, Plant, Shelf
from watching_world import START, World, calm, frame

from exporter.watching.watcher import Watcher

OF_DAYS = {"select": ["x", "y"], "window": "1h", "interval": "5m", "history": "2d"}
YOUNG = "history: 1h of 14d; scores come from the window alone"


def test_a_young_watch_is_ok_and_its_reason_says_how_much_history_there_is():
    world = World()
    world.clock._now = START // HOUR * HOUR + 60
    picture = world.tick(frame({"x": calm(120)}, end=START // HOUR * HOUR + 60))
    assert (picture.state, picture.reason) == ("ok", YOUNG)


def test_without_history_nothing_is_said_of_it():
    world = World(history="0s")
    assert world.tick(frame({"x": calm()})).reason == ""


def test_it_is_said_beside_what_else_is_wrong():
    world = World()
    world.pool.is_usable = False
    reason = world.tick(frame({"x": calm()})).reason
    assert reason.startswith("no model can be asked: scores are the screen's alone; history: ")
    world.pool.is_usable = True
    reason = world.tick(frame({"x": calm()}), troubles=("b: refused",)).reason
    assert reason.startswith("b: refused; history: ")


def test_warming_stays_for_series_without_a_score():
    picture = World().tick(frame({"x": [1.0, 2.0]}))
    assert picture.state == "warming"
    assert np.isnan(picture.tables[0].screen).all()


@pytest.fixture
def grown():
    """A world whose source has the past, and a shelf to keep it on."""
    world, plant, shelf = World(**OF_DAYS), Plant(), Shelf()
    world.clock._now = NOW
    world.watcher = Watcher(
        world.watch, world, world.watcher._judging, world.pictures.append, world.clock, keeper=shelf, past=plant
    )
    return world, plant, shelf


def test_the_past_is_filled_and_kept_and_the_reason_goes(grown):
    world, plant, shelf = grown
    assert world.tick(plant.frame(NOW, 3600)).reason.startswith("history filled up to ")
    world.watcher.fill(1e9)
    assert world.tick(plant.frame(NOW, 3600)).reason == ""
    world.watcher.close()
    world.watcher.keep()
    assert shelf.kept["t"].archive.seen == NOW


def test_a_closed_watch_asks_for_nothing_more(grown):
    world, plant, _ = grown
    world.tick(plant.frame(NOW, 3600))
    world.watcher.close()
    world.watcher.fill(1e9)
    assert plant.asked == []


def test_a_kept_history_is_there_at_the_first_interval(grown):
    world, plant, shelf = grown
    world.tick(plant.frame(NOW, 3600))
    world.watcher.fill(1e9)
    world.tick(plant.frame(NOW, 3600))
    world.watcher.keep()
    again = World(**OF_DAYS)
    again.clock._now = NOW + 300
    again.watcher = Watcher(
        again.watch, again, again.watcher._judging, again.pictures.append, again.clock, keeper=shelf
    )
    assert again.tick(plant.frame(NOW + 300, 3600)).reason == ""
    fresh = World(**OF_DAYS)
    fresh.clock._now = NOW + 300
    assert fresh.tick(plant.frame(NOW + 300, 3600)).reason.startswith("history: ")
