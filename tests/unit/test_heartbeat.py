"""The heartbeat in a runtime, with a server that can be stopped: where it shows, and where it must not."""

import json
import threading

import pytest

from exporter.clock import ManualClock
from exporter.config.model import Config
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.journal.store import Journal
from exporter.runtime import Runtime
from exporter.services import make_services
from exporter.watching.heartbeat import STEPS

START = 1_700_000_000.0
INTERVAL = 300.0


def finds_the_first(asked):
    """The series that the question names first is anomalous, the others are not: the snapshot shows the oddest first."""
    properties = asked.schema["properties"]["findings"]["properties"]
    findings = {
        name: {
            "evidence": finding["properties"]["evidence"]["items"]["enum"][:1],
            "text": "It was compared with what is usual.",
            "kind": "none" if place else "spike",
            "score": 0 if place else 9,
            "confidence": 8,
        }
        for place, (name, finding) in enumerate(properties.items())
    }
    said = {"summary": "One of them is far off.", "cause": "A fault.", "next_steps": "Look.", "score": 8}
    return json.dumps({"findings": findings, **said})


class Beating:
    """A runtime with one watch, whose heartbeat is driven by hand."""

    def __init__(self, studio, journal, **keys):
        self.clock = ManualClock(START)
        self.journal = journal
        self.told = []
        self.services = make_services(self.clock, journal, self.told.append)
        self.servers = [{"name": "desk", "url": studio.url, "rpc": "off", "log_stream": "off"}]
        self.runtime = Runtime(self.config(**keys), self.services)
        self.runtime.start()
        self.runtime.parts.pool.poll("desk")

    def config(self, **keys):
        watch = {"name": "w", "source": "s", "select": ["x"], "reason": {"when": "never"}}
        source = {"name": "s", "scrape": {"targets": ["127.0.0.1:9"]}}
        return Config.model_validate({"servers": self.servers, "sources": [source], "watches": [watch], **keys})

    @property
    def board(self):
        return self.services.reporter.board.current()

    def beat(self):
        """One beat; what is asked is answered before the next step."""
        heartbeat = self.runtime.parts.heartbeat
        for _ in range(STEPS):
            self.clock.advance(INTERVAL / STEPS)
            heartbeat.tick()
            pause = threading.Event()
            while heartbeat.watcher.waiting():
                pause.wait(0.002)

    def exposed(self):
        """The series of the exposition that are about the heartbeat, with their values."""
        _, _, body = self.services.exposition.respond("", "", [])
        lines = body.decode().splitlines()
        found = [line for line in lines if "heartbeat" in line and not line.startswith(("#", "lmwatch_collector_"))]
        return dict(line.rsplit(" ", 1) for line in found)


@pytest.fixture
def studio():
    with StudioServer([ScriptedEngine(finds_the_first)]) as server:
        yield server


@pytest.fixture
def journal():
    journal = Journal(None)
    yield journal
    journal.close()


@pytest.fixture
def make(studio, journal):
    made = []

    def beating(**keys):
        made.append(Beating(studio, journal, **keys))
        return made[-1]

    yield beating
    for one in made:
        one.runtime.stop(5.0)


def test_it_is_off_where_nothing_is_watched_or_the_interval_is_0(make):
    assert make(watches=[]).runtime.parts.heartbeat is None
    silent = make(heartbeat={"interval": 0})
    assert silent.runtime.parts.heartbeat is None
    assert HEARTBEAT_WATCH not in silent.runtime.parts.watchers
    assert silent.exposed() == {}


def test_a_beat_reaches_board_and_journal_and_no_list_and_no_score(make):
    beating = make()
    beating.beat()
    beating.beat()
    state, picture = beating.board.heartbeat, beating.board.watches[HEARTBEAT_WATCH]
    assert state.success_at > START + INTERVAL
    assert state.screen_success_at > START + INTERVAL
    assert picture.state == "ok"
    (verdict,) = picture.verdicts.values()
    assert beating.journal.get(verdict.id).at == verdict.at == state.success_at
    assert [record.at for record in beating.journal.list(watch=HEARTBEAT_WATCH)] == [state.success_at]
    assert (beating.journal.list(), beating.told) == ([], [])


def test_its_metrics_are_its_timestamps_and_what_its_watch_counts_but_no_scores(make):
    beating = make()
    beating.beat()
    exposed = beating.exposed()
    assert exposed["lmwatch_heartbeat_interval_seconds"] == "300.0"
    for name in ("success", "screen_success"):
        assert float(exposed[f"lmwatch_heartbeat_{name}_timestamp_seconds"]) > START
    assert exposed['lmwatch_analyses_total{outcome="ok",watch="lmwatch_heartbeat"}'] == "1.0"
    names = {series.partition("{")[0] for series in exposed}
    assert not [name for name in names if "score" in name or "kind" in name or "verdict" in name]


def test_a_model_that_is_to_be_unloaded_is_left_alone_and_nothing_is_expected_of_it(studio, make):
    beating = make()
    beating.beat()
    studio.unload("scripted-1b")
    studio.load("scripted-1b", ttl_seconds=3600.0)
    asked = len(studio.received)
    beating.runtime.parts.pool.poll("desk")
    beating.beat()
    assert beating.board.heartbeat.success_at is None
    assert beating.board.heartbeat.screen_success_at > START + INTERVAL
    assert not [call for call in studio.received[asked:] if "chat" in call.path]


def test_a_dead_server_leaves_the_time_of_the_last_right_verdict(studio, make):
    beating = make()
    beating.beat()
    right_at = beating.board.heartbeat.success_at
    studio.stop()
    beating.runtime.parts.pool.poll("desk")
    beating.beat()
    assert beating.board.heartbeat.success_at == right_at
    assert beating.board.heartbeat.screen_success_at > right_at + INTERVAL / 2
    assert beating.board.watches[HEARTBEAT_WATCH].state == "degraded"


def test_a_reload_keeps_the_beat_and_its_times_unless_the_interval_changes(make):
    beating = make()
    beating.beat()
    kept = Runtime(beating.config(), beating.services, previous=beating.runtime)
    assert kept.parts.heartbeat is beating.runtime.parts.heartbeat
    slower = Runtime(beating.config(heartbeat={"interval": "10m"}), beating.services, previous=beating.runtime)
    assert slower.parts.heartbeat.state.interval_seconds == 600.0
    assert slower.parts.heartbeat.state.success_at == beating.clock.now()


def test_after_a_reload_that_turns_it_off_nothing_of_it_is_shown(make):
    beating = make()
    beating.beat()
    assert beating.exposed()
    successor = Runtime(beating.config(heartbeat={"interval": 0}), beating.services, previous=beating.runtime)
    successor.start()
    assert beating.exposed() == {}
    assert HEARTBEAT_WATCH not in beating.board.watches
    beating.runtime.parts.heartbeat.tick()
    assert beating.exposed() == {}, "a step that was under way meanwhile brings nothing back"
