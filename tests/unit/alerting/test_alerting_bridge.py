"""The bridge from the board to Alertmanagers: what is sent when, and what a restart, a reload and a full disk change."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from alerting_cases import NOW, finding, picture, series, table, verdict

from exporter.alerting.bridge import AlertBridge
from exporter.alerting.document import from_document, to_document
from exporter.alerting.keeping import Keeper
from exporter.board import Board, BoardHolder, ReloadState
from exporter.clock import ManualClock
from exporter.config.model import Config
from exporter.errors import TransientError
from exporter.journal.store import Journal
from exporter.screening.result import Evidence, ScreenedGroup, ScreenedSeries

ROOT = Path(__file__).parents[3]
A = series(instance="a:1")


def config(*watches, **alerting):
    made = [
        {"name": name, "source": "s", "select": ["load"], "group_by": ["instance"], "interval": "1m"}
        for name in watches or ("w",)
    ]
    return Config.model_validate(
        {
            "sources": [{"name": "s", "scrape": {"targets": ["a:1"]}}],
            "watches": made,
            "alerting": {"for": "2m", **alerting},
            "web": {"external_url": "http://lmwatch:9917"},
        }
    )


class Fleet:
    """Keeps what it is given to send."""

    def __init__(self):
        self.urls = ("http://am",)
        self.batches = []

    def follow(self, alertmanagers):
        pass

    def refresh(self):
        pass

    def send(self, alerts):
        self.batches.append([alert.body for alert in alerts])

    def stop(self, timeout):
        pass


class Store:
    """A journal's part for alerts that can fail."""

    def __init__(self, store):
        self.store = store
        self.fails = False
        self.changes = 0

    def change(self, alive_at, put, gone=frozenset()):
        if self.fails:
            raise TransientError("journal: disk full")
        self.changes += 1
        self.store.change(alive_at, put, gone)

    def all(self):
        if self.fails:
            raise TransientError("journal: locked")
        return self.store.all()

    def alive_at(self):
        return self.store.alive_at()


@dataclass
class World:
    """A bridge with all it needs."""

    journal: Journal
    instruments: object
    clock: ManualClock
    board: BoardHolder
    fleet: Fleet
    store: Store
    bridge: AlertBridge = None
    groups: tuple = ()

    def start(self, *watches, **alerting):
        """Begin as after a start of the process."""
        self.fleet.batches.clear()
        keeper = Keeper(self.store)
        self.bridge = AlertBridge(self.clock, self.board.current, keeper, self.fleet, self.instruments)
        self.follow(*watches, **alerting)

    def follow(self, *watches, **alerting):
        self.bridge.follow(config(*watches, **alerting), lambda _watch: self.groups)

    def show(self, score, *, name="w", **changes):
        tables = () if score is None else (table(A, anomaly=[score], screen=[score], kind=["spike"]),)
        self.board.put_watch(picture(*tables, name=name, at=self.clock.now(), **changes), {})

    def pass_(self, seconds, score=None, **changes):
        """Let time pass with a picture each minute, and a tick after each."""
        for _ in range(round(seconds / 60)):
            self.clock.advance(60)
            if score is not None:
                self.show(score, **changes)
            self.tick()

    def tick(self):
        """What one tick sends."""
        before = len(self.fleet.batches)
        self.bridge.tick()
        return [alert for batch in self.fleet.batches[before:] for alert in batch]

    def forget(self):
        """An empty board, as after a start."""
        self.board.update(lambda board: replace(board, watches={}))


@pytest.fixture
def world(instruments):
    with contextlib.closing(Journal(None)) as journal:
        clock = ManualClock(NOW)
        board = BoardHolder(Board(started_at=NOW, reload=ReloadState(True, NOW)))
        world = World(journal, instruments, clock, board, Fleet(), Store(journal.alerts))
        world.start()
        yield world


def fire(world):
    """A firing alert; what was sent when it began."""
    world.show(0.6)
    world.tick()
    world.pass_(120, 0.6)
    return world.fleet.batches[-1]


def test_an_alert_is_sent_when_it_fires_and_not_before(world):
    world.show(0.6)
    assert world.tick() == []
    world.pass_(60, 0.6)
    assert world.fleet.batches == []
    assert [alert.state for alert in world.bridge.active()] == ["pending"]
    world.pass_(60, 0.6)
    (sent,) = world.fleet.batches[-1]
    assert (sent["startsAt"], sent["endsAt"]) == ("2023-11-14T22:15:20.000Z", "2023-11-14T22:19:20.000Z")
    assert sent["generatorURL"] == sent["annotations"]["lmwatch_url"] == "http://lmwatch:9917/watches/w"


def test_it_is_repeated_each_resend_interval_with_its_start_and_a_later_end(world):
    (first,) = fire(world)
    world.clock.advance(30)
    assert world.tick() == []
    world.clock.advance(30)
    (again,) = world.tick()
    assert again["startsAt"] == first["startsAt"]
    assert again["endsAt"] > first["endsAt"]
    assert again["labels"] == first["labels"]


def test_a_resolved_one_is_sent_at_once_and_repeated_for_15_minutes(world):
    fire(world)
    world.pass_(180, 0.1)
    assert len(world.bridge.active()) == 1
    world.clock.advance(60)
    (resolved,) = world.tick()
    assert resolved["endsAt"] == "2023-11-14T22:19:20.000Z"
    assert not world.bridge.active()
    world.fleet.batches.clear()
    world.pass_(1200, 0.1)
    assert [[alert["endsAt"] for alert in batch] for batch in world.fleet.batches] == [[resolved["endsAt"]]] * 14
    assert world.store.all() == {}


def test_a_verdict_that_comes_later_is_told_at_once_under_the_same_identity(world):
    (first,) = fire(world)
    key = (("instance", "a:1"),)
    world.show(0.6, verdicts={key: verdict(finding(A))})
    (told,) = world.tick()
    assert told["labels"] == first["labels"]
    assert told["startsAt"] == first["startsAt"]
    assert told["annotations"]["description"].startswith("The load doubled and stayed. ")
    assert told["generatorURL"] == "http://lmwatch:9917/verdicts/0abc"


def test_a_score_that_trembles_sends_nothing_between_repeats(world):
    fire(world)
    world.show(0.61)
    assert world.tick() == []


def test_without_a_verdict_the_screens_evidence_is_told_from_the_first_alert_on(world):
    fact = Evidence("rank", "far above all of the last 14 days", (), 0.9)
    of = ScreenedSeries(A, "", None, None, 60, 0.6, "spike", 0, 1, (fact,))
    world.groups = (ScreenedGroup("w", (("instance", "a:1"),), (of,), 1, 1),)
    (first,) = fire(world)
    assert "Evidence: far above all of the last 14 days." in first["annotations"]["description"]
    world.groups = ()
    world.pass_(60, 0.6)
    assert "Evidence: far above all of the last 14 days." in world.fleet.batches[-1][0]["annotations"]["description"]


def test_evidence_that_cannot_be_had_costs_no_alert(world):
    def broken(_watch):
        raise RuntimeError("no evidence today")

    world.bridge.follow(config(), broken)
    (first,) = fire(world)
    assert first["annotations"]["description"] == "Score 0.60 (screen 0.60)."


# -- restarts


def test_a_restart_neither_forgets_nor_renews(world):
    (first,) = fire(world)
    world.start()
    world.forget()
    world.clock.advance(20)
    (again,) = world.tick()
    assert (again["labels"], again["startsAt"]) == (first["labels"], first["startsAt"])
    assert again["annotations"] == first["annotations"]
    world.show(None, state="warming")
    world.pass_(600)
    assert {alert["startsAt"] for batch in world.fleet.batches for alert in batch} == {first["startsAt"]}
    world.pass_(60, 0.7)
    assert [alert.starts_at for alert in world.bridge.active()] == [NOW + 120]


def test_after_a_restart_an_alert_whose_watch_stays_silent_is_resolved_at_last(world):
    fire(world)
    world.start()
    world.forget()
    world.pass_(3600)
    assert len(world.bridge.active()) == 1
    world.pass_(120)
    assert not world.bridge.active()
    assert world.fleet.batches[-1][0]["endsAt"] == "2023-11-14T23:16:20.000Z"


def test_repeats_of_a_resolved_alert_go_on_after_a_restart(world):
    fire(world)
    world.pass_(240, 0.1)
    ended = world.fleet.batches[-1][0]["endsAt"]
    world.start()
    assert [alert["endsAt"] for alert in world.tick()] == [ended]
    world.pass_(900, 0.1)
    assert world.tick() == []


def test_after_an_hours_absence_nothing_is_taken_up_again(world):
    fire(world)
    world.clock.advance(3700)
    world.start()
    assert world.tick() == []
    assert world.store.all() == {}


def test_an_absence_is_counted_from_the_last_repeat_and_not_from_the_last_change(world):
    fire(world)
    world.pass_(7200, 0.6)
    world.clock.advance(600)
    world.start()
    assert len(world.tick()) == 1


def test_an_absence_is_counted_rightly_also_where_repeats_are_rare(world):
    rare = {"resend_interval": "4h"}
    world.follow(**rare)
    fire(world)
    world.pass_(7200, 0.6)
    world.clock.advance(600)
    world.start(**rare)
    assert len(world.tick()) == 1


LONG = {"for": "10m"}


def pending_for_five_minutes(world):
    world.follow(**LONG)
    world.show(0.6)
    world.tick()
    world.pass_(300, 0.6)


def restart(world, seconds):
    """A start with an empty board after so many seconds."""
    world.clock.advance(seconds)
    world.start(**LONG)
    world.forget()
    world.tick()


def test_a_restart_does_not_begin_a_for_anew_and_its_absence_does_not_count(world):
    pending_for_five_minutes(world)
    restart(world, 120)
    assert not world.bridge.active()
    world.pass_(300, 0.6)
    (alert,) = world.bridge.active()
    assert (alert.state, alert.active_at) == ("pending", NOW + 180), "away for two minutes, and one without news"
    world.pass_(60, 0.6)
    assert [alert.state for alert in world.bridge.active()] == ["firing"]


@pytest.mark.parametrize("score", [0.1, None])
def test_what_was_pending_before_a_restart_ends_with_the_first_picture_that_does_not_confirm_it(world, score):
    pending_for_five_minutes(world)
    restart(world, 60)
    world.clock.advance(60)
    world.show(score)
    world.tick()
    assert not world.bridge.active()
    world.pass_(60, 0.6)
    assert [alert.active_at for alert in world.bridge.active()] == [world.clock.now()]


def test_a_watch_without_news_for_an_hour_after_a_restart_forgets_what_was_pending(world):
    pending_for_five_minutes(world)
    restart(world, 1800)
    world.clock.advance(1860)
    world.show(0.6)
    world.tick()
    assert [alert.active_at for alert in world.bridge.active()] == [world.clock.now()]


def test_a_pending_alert_and_its_resolved_namesake_are_both_kept(world):
    fire(world)
    world.pass_(240, 0.1)
    world.pass_(60, 0.6)
    assert sorted(document["state"] for document in world.store.all().values()) == ["pending", "resolved"]
    world.pass_(60, 0.1)
    assert [document["state"] for document in world.store.all().values()] == ["resolved"]


def test_it_is_written_before_it_is_sent(world):
    states = []
    send = world.fleet.send
    world.fleet.send = lambda alerts: (states.append(len(world.store.all())), send(alerts))
    fire(world)
    assert states == [1]


def test_calm_ticks_write_nothing(world):
    fire(world)
    before = world.store.changes
    for _ in range(10):
        world.clock.advance(2)
        world.tick()
    assert world.store.changes == before


def test_a_journal_that_cannot_be_written_holds_up_no_alert_and_is_written_later(world, caplog):
    world.store.fails = True
    assert len(fire(world)) == 1
    assert "disk full" in str([record.__dict__ for record in caplog.records])
    world.store.fails = False
    world.tick()
    assert len(world.store.all()) == 1


def test_alerts_that_could_not_be_read_at_the_start_do_not_come_back_at_the_next(world):
    fire(world)
    world.store.fails = True
    world.start()
    world.forget()
    assert world.tick() == []
    world.store.fails = False
    world.tick()
    assert world.store.all() == {}
    world.start()
    assert world.tick() == []


def test_a_document_of_another_version_is_forgotten_and_the_others_are_not(world, caplog):
    fire(world)
    world.store.change(NOW + 120, {"x": {"what": 1}})
    world.start()
    assert len(world.tick()) == 1
    assert "forgotten" in caplog.text
    assert len(world.store.all()) == 1


# -- reloads


def test_a_watch_that_left_the_configuration_resolves_its_alerts(world):
    fire(world)
    world.follow("other")
    (sent,) = world.tick()
    assert sent["endsAt"] == "2023-11-14T22:15:20.000Z"
    assert not world.bridge.active()


def test_other_labels_in_the_configuration_do_not_rename_what_fires(world):
    (first,) = fire(world)
    world.follow(labels={"team": "ops"})
    world.pass_(60, 0.6)
    assert world.fleet.batches[-1][0]["labels"] == first["labels"]


def test_an_alertmanager_that_joins_is_told_at_once(world):
    fire(world)
    assert world.tick() == []
    world.fleet.urls = ("http://am", "http://new")
    assert len(world.tick()) == 1


def test_what_is_active_is_counted(world, registry):
    world.show(0.6)
    world.tick()
    assert registry.get_sample_value("lmwatch_alerts_pending") == 1
    fire(world)
    assert registry.get_sample_value("lmwatch_alerts_firing") == 1
    assert registry.get_sample_value("lmwatch_alerts_pending") == 0


# -- the journal


KILLED = """
import os, signal, sys
from pathlib import Path
from exporter.journal.store import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(1_000_000):
    journal.alerts.change(float(number), {f"f{number}": {"n": number}}, {f"f{number - 5}"})
    print(number, flush=True)
"""


def test_kill_9_leaves_exactly_what_was_acknowledged_or_one_change_more(tmp_path):
    path = tmp_path / "j.db"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    with child:
        for line in child.stdout:
            if int(line) >= 40:
                child.send_signal(signal.SIGKILL)
                break
        acknowledged = int([line, *child.stdout.read().split()][-1])
    with contextlib.closing(Journal(path)) as journal:
        last = int(journal.alerts.alive_at())
        assert last in (acknowledged, acknowledged + 1)
        assert journal.alerts.all() == {f"f{number}": {"n": number} for number in range(last - 4, last + 1)}


def test_a_change_is_made_whole_or_not_at_all(tmp_path):
    with contextlib.closing(Journal(tmp_path / "j.db")) as journal:
        journal.alerts.change(1.0, {"a": {}})
        with pytest.raises(ValueError, match="JSON"):
            journal.alerts.change(2.0, {"b": {}, "c": {"x": float("nan")}}, {"a"})
        assert journal.alerts.all() == {"a": {}}
        assert journal.alerts.alive_at() == 1.0


def test_an_alert_comes_back_from_json_as_it_was(world):
    fire(world)
    (alert,) = world.bridge.active()
    assert from_document(json.loads(json.dumps(to_document(alert)))) == alert
