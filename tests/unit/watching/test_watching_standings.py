"""What a watch knows of its groups as a whole outlives a restart, as its histories do."""

import logging

import numpy as np
import pytest
from watching_world import START, World, frame

from exporter.errors import TransientError
from exporter.journal.histories import Histories

HOUR = 3600.0
INTERVAL = 300.0
KEY = (("instance", "t"),)
WATCH = {"group_by": ["instance"], "interval": "5m", "window": "1h", "reason": {"when": "never"}}


def rows(at):
    """Nine series that are odd together for five minutes of every other hour, now more and now less."""
    times = at - INTERVAL * np.arange(11, -1, -1.0)
    noise = 10 + 0.1 * ((times // INTERVAL * 7) % 5)
    burst = np.where(times // INTERVAL % 24 == 21, 1.0 + (times // HOUR) % 3, 0.0)
    return {name: (noise + size * burst).tolist() for name, size in zip("xabcdefgh", range(4, 13), strict=True)}


def live(world, hours):
    """The scores of the group while time goes on."""
    scores = []
    for _ in range(round(hours * HOUR / INTERVAL)):
        world.clock.advance(INTERVAL)
        picture = world.tick(frame(rows(world.clock.now()), end=world.clock.now(), interval=INTERVAL))
        scores.append(picture.standings.get(KEY))
    return scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two days of a watch, kept."""
    folder = tmp_path_factory.mktemp("kept") / "lmwatch.db.history"
    world = World(keeper=Histories(folder).of("w"), **WATCH)
    live(world, 48)
    world.watcher.close()
    world.watcher.keep()
    return folder


def restarted(folder, **changes):
    return World(keeper=Histories(folder).of("w"), at=START + 48 * HOUR, **{**WATCH, **changes})


def test_after_a_restart_the_group_scores_what_it_would_have_scored(folder):
    through = World(**WATCH)
    live(through, 48)
    after, wanted = restarted(folder), live(through, 3)
    assert live(after, 3) == wanted
    assert wanted[0] > 0.1, "the newest burst still fades"


def test_its_habits_are_part_of_that(folder):
    """With the series' histories alone the same burst, which comes every other hour, would be taken for something new."""
    without = World(keeper=_Forgetful(Histories(folder).of("w")), at=START + 48 * HOUR, **WATCH)
    assert max(live(restarted(folder), 5)) < 0.5 <= max(live(without, 5))


class _Forgetful:
    """A keeper that has no groups."""

    def __init__(self, keeper):
        self.load, self.save = keeper.load, keeper.save
        self.load_groups = lambda: None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"select": [{"series": "x", "direction": "above"}]}, id="which changes count"),
        pytest.param({"select": [{"series": "x", "as": "delta"}]}, id="how series are read"),
        pytest.param({"group_by": []}, id="which series belong together"),
    ],
)
def test_groups_that_are_made_of_something_else_begin_anew(folder, change, caplog):
    with caplog.at_level(logging.INFO):
        live(restarted(folder, **change), 0.25)
    assert "groups are made of other series now; their habits begin anew" in caplog.messages


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"context": "Two hosts."}, id="what the model is told"),
        pytest.param({"select": [{"series": "x", "description": "load"}]}, id="words"),
        pytest.param({"interval": "10m"}, id="how often it is screened"),
    ],
)
def test_other_changes_leave_them_as_they_are(folder, change, caplog):
    with caplog.at_level(logging.INFO):
        live(restarted(folder, **change), 0.25)
    assert "groups are made of other series now; their habits begin anew" not in caplog.messages


def test_a_damaged_file_stops_no_start_and_is_set_aside(folder, tmp_path, caplog):
    mine = tmp_path / "h"
    mine.mkdir()
    for path in folder.iterdir():
        data = path.read_bytes()
        spoilt = data[:-1] if data.startswith(b"lmwatch group history") else data
        (mine / path.name).write_bytes(spoilt)
    with caplog.at_level(logging.WARNING):
        scores = live(restarted(mine), 0.25)
    assert caplog.messages == ["a history cannot be used and is set aside; it begins anew"]
    assert None not in scores
    assert len([path for path in mine.iterdir() if path.suffix == ".damaged-1"]) == 1


class _Full:
    """A keeper on a disk that is full for a while."""

    def __init__(self):
        self.full, self.saves = True, 0

    def load(self, target):
        return None

    def save(self, target, remembered):
        pass

    def load_groups(self):
        return None

    def save_groups(self, remembered):
        if self.full:
            raise TransientError("disk full")
        self.saves += 1


def test_what_could_not_be_saved_is_saved_later_and_only_if_it_is_new(caplog):
    keeper = _Full()
    world = World(keeper=keeper, **WATCH)
    live(world, 0.25)
    world.watcher.keep()
    assert "the habits of groups were not kept" in caplog.messages
    keeper.full = False
    for _ in range(2):
        world.watcher.keep()
    assert keeper.saves == 1
