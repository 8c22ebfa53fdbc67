"""What a poll of a lane tells beside the HTTP API, against the stand-in for LM Studio on real sockets."""

import threading
from dataclasses import replace

import pytest
from pydantic import SecretStr
from rpc_raw import until

from exporter.clock import ManualClock
from exporter.config.model import Server
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import other_models
from exporter.embedded.studio_faults import Fault
from exporter.lmstudio.beside_http import STALE_SECONDS, BesideHttp
from exporter.lmstudio.breaker import Breaker
from exporter.lmstudio.lane import Lane, open_lane
from exporter.lmstudio.rpc import RpcClient
from exporter.lmstudio.rpc_state import RpcInfo, RpcInstance, RpcState
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.sources.http import Cancel

NOW = 1_790_000_000.0
TOKEN = "sk-lm-tL9sH4ED:MQZTWwaOsmlIEKL4EruT"
EMBEDDER = "text-embedding-nomic-embed-text-v1.5"


@pytest.fixture
def clock():
    return ManualClock(NOW)


class Gate:
    """Holds the stand-in's model before each token until it is opened."""

    def __init__(self):
        self.event = threading.Event()

    def __call__(self, seconds):
        assert self.event.wait(20)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.event.set()


@pytest.fixture
def make(clock, tmp_path):
    """Starts stand-ins and lanes to them."""
    ends = []

    def start(*models, config=None, **options):
        studio = StudioServer(models or [ScriptedEngine(lambda _: "yes"), *other_models()], clock=clock, **options)
        studio.start()
        ends.append(studio.stop)
        lane = open_lane(Server(name="desk", url=studio.url, **(config or {})), clock, Cancel(), home=tmp_path)
        ends.append(lane.close)
        return studio, lane

    yield start
    for end in reversed(ends):
        end()


def model(health, identifier):
    (found,) = [each for each in health.models if each.id == identifier]
    return found


# ---- what is added


def test_a_poll_tells_version_process_states_and_times(make, clock):
    studio, lane = make()
    studio.load(EMBEDDER, ttl_seconds=60.0)
    clock.advance(15)
    health = lane.poll()
    assert (health.rpc_up, health.version, health.process_id) == (True, "0.4.24", studio.pid)
    chat, embedder = model(health, "scripted-1b"), model(health, EMBEDDER)
    assert (chat.status, chat.queued_requests, chat.ttl_seconds) == ("idle", 0, None)
    assert (chat.last_used_at, embedder.last_used_at) == (NOW, NOW)
    assert (embedder.ttl_seconds, embedder.ttl_remaining_seconds) == (60.0, 45.0)
    assert {each.status for each in health.models if not each.loaded} == {None}


def test_v0_tells_no_times_to_live_and_the_websocket_does(make, clock):
    studio, lane = make(api_level="v0")
    studio.load(EMBEDDER, ttl_seconds=60.0)
    clock.advance(15)
    health = lane.poll()
    assert (health.api, health.rpc_up, health.version) == ("v0", True, "0.3.30")
    assert model(health, EMBEDDER).ttl_remaining_seconds == 45.0


def test_each_instance_of_a_model_has_its_own_state(make, gate):
    studio, lane = make(ScriptedEngine(lambda _: "one two", pause=gate, parallel=1))
    studio.load("scripted-1b")
    asking = threading.Thread(target=ask, args=(studio, "scripted-1b"))
    asking.start()
    until(lambda: model(lane.poll(), "scripted-1b").status == "processing_prompt")
    health = lane.poll()
    assert (model(health, "scripted-1b").queued_requests, model(health, "scripted-1b:2").queued_requests) == (1, 0)
    assert model(health, "scripted-1b:2").status == "idle"
    assert lane.choose_model().id == "scripted-1b:2"
    gate.event.set()
    asking.join(20)
    assert model(lane.poll(), "scripted-1b").status == "idle"


def ask(studio, name):
    import json
    import urllib.request

    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "?"}]}).encode()
    with urllib.request.urlopen(f"{studio.url}/v1/chat/completions", body, timeout=20) as answer:
        answer.read()


# ---- when it is asked


def websockets(studio):
    return [request.path for request in studio.received if request.headers.get("upgrade")]


def test_connections_stay_open_from_poll_to_poll(make):
    studio, lane = make()
    for _ in range(5):
        assert lane.poll().rpc_up
    assert sorted(websockets(studio)) == ["/embedding", "/llm", "/system"]


def test_off_asks_nothing(make):
    studio, lane = make(config={"rpc": "off"})
    health = lane.poll()
    assert (health.up, health.rpc_up, health.version) == (True, None, "")
    assert websockets(studio) == []


def test_auto_does_not_ask_a_server_that_is_not_lm_studio(make):
    studio, lane = make(api_level="openai")
    assert (lane.poll().rpc_up, websockets(studio)) == (None, [])


def test_on_asks_it_and_says_what_is_wrong(make):
    _, lane = make(api_level="openai", config={"rpc": "on"})
    health = lane.poll()
    assert (health.up, health.rpc_up) == (True, False)
    assert "status 404" in health.rpc_detail


def test_a_server_that_is_down_is_not_asked(make):
    studio, lane = make(config={"rpc": "on"})
    studio.faults.inject(Fault("html_500"), times=None)
    health = lane.poll()
    assert (health.up, health.rpc_up) == (False, False)
    assert websockets(studio) == []


def test_a_token_opens_both_ways(make):
    _, lane = make(api_token=TOKEN, config={"api_token": SecretStr(TOKEN)})
    health = lane.poll()
    assert (health.up, health.rpc_up) == (True, True)


def test_auto_falls_silent_where_it_is_refused(make, clock):
    studio, lane = make()
    studio.faults.inject(Fault("rpc_refused"), times=None)
    for _ in range(60):
        health = lane.poll()
        assert (health.up, health.rpc_up, health.rpc_detail) == (True, None, "")
        clock.advance(10)
    assert websockets(studio) == ["/system"]


# ---- trouble


def test_a_dead_websocket_fails_no_poll_and_is_replaced(make):
    studio, lane = make()
    assert lane.poll().rpc_up
    studio.faults.inject(Fault("rpc_dead"))
    health = lane.poll()
    assert (health.up, health.rpc_up) == (True, True)
    assert len(websockets(studio)) == 6
    assert health.poll_duration_seconds == 0.0, "the clock of the test stands still; only HTTP counts"


def test_while_it_is_silent_only_what_changes_slowly_is_known_and_that_not_for_ever(make, clock):
    studio, lane = make(api_level="v0")
    studio.load(EMBEDDER, ttl_seconds=600.0)
    assert lane.poll().rpc_up
    studio.faults.inject(Fault("rpc_dead"), times=None)
    clock.advance(STALE_SECONDS)
    health = lane.poll()
    embedder = model(health, EMBEDDER)
    assert (health.up, health.rpc_up, health.version, health.process_id) == (True, False, "0.3.30", None)
    assert "no complete answer" in health.rpc_detail
    assert (embedder.status, embedder.queued_requests) == (None, None)
    assert (embedder.ttl_seconds, embedder.ttl_remaining_seconds) == (600.0, 570.0)
    clock.advance(1)
    health = lane.poll()
    assert (model(health, EMBEDDER).ttl_seconds, health.rpc_up, health.version) == (None, False, "0.3.30")
    studio.faults.clear()
    clock.advance(10)
    assert lane.poll().rpc_up


def test_after_a_restart_of_the_server_it_is_asked_at_once(make, clock):
    studio, lane = make()
    before = lane.poll()
    studio.stop()
    for _ in range(20):
        health = lane.poll()
        assert (health.up, health.rpc_up, health.version) == (False, False, "")
        clock.advance(10)
    studio.start()
    after = lane.poll()
    assert (after.rpc_up, after.version) == (True, "0.4.24")
    assert after.process_id != before.process_id


def test_waits_from_before_an_outage_do_not_outlast_it(make, clock):
    studio, lane = make(config={"rpc": "on"})
    studio.faults.inject(Fault("rpc_refused"), times=None)
    for _ in range(20):
        assert lane.poll().rpc_up is False
        clock.advance(100)
    studio.faults.clear()
    studio.stop()
    assert not lane.poll().up
    studio.start()
    assert lane.poll().rpc_up


def test_polls_from_two_threads_take_turns(make):
    _, lane = make()
    found = []
    threads = [threading.Thread(target=lambda: found.extend(lane.poll() for _ in range(20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [health.rpc_up for health in found] == [True] * 60


# ---- the parts put together, without sockets


class Said:
    """Stands for a poller, an RPC and a process; says what it was told to."""

    expected, problem = True, ""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __getattr__(self, name):
        def call(*args):
            self.asked.append(name)
            return self.answers.pop(0) if self.answers and name in ("poll", "look") else None

        return call


def health(**more):
    model = Model(id="m", key="m", kind="llm", loaded=True)
    return replace(ServerHealth("desk", "http://desk:1234", True, "v1", "", (model,), 0.01, NOW), **more)


STATE = RpcState(RpcInfo("0.4.24", 7), (RpcInstance("m", "r", "m", "generating", 2, ttl_seconds=60.0),), NOW)


def test_the_version_stays_known_until_the_server_goes_down():
    rpc = Said(STATE, None, None)
    beside = BesideHttp(Server(name="desk", url="http://desk:1234"), rpc, Said())
    assert beside.complete(health()).version == "0.4.24"
    assert beside.complete(health(polled_at=NOW + 999)).version == "0.4.24"
    assert beside.complete(health(up=False, api=None, models=())).version == ""
    assert beside.complete(health(polled_at=NOW + 1999)).version == ""


def test_a_fault_of_ours_beside_http_fails_no_poll(caplog):
    class Broken(Said):
        def look(self):
            raise ZeroDivisionError

    beside = BesideHttp(Server(name="desk", url="http://desk:1234"), Broken(), Said())
    assert beside.complete(health()) == health()
    assert "ZeroDivisionError" in caplog.text


def test_a_lane_counts_what_others_have_its_model_do(clock):
    beside = BesideHttp(Server(name="desk", url="http://desk:1234"), Said(STATE), Said())
    lane = Lane(
        Server(name="desk", url="http://desk:1234"), Said(), Said(), Said(health()), Breaker(clock), beside=beside
    )
    assert lane.load() == 0
    lane.poll()
    assert lane.load() == 2
    lane.close()


def test_a_client_that_is_closed_looks_no_more_and_closing_twice_does_nothing(monkeypatch):
    client = RpcClient(Server(name="desk", url="http://127.0.0.1:9"), ManualClock())
    monkeypatch.setattr(client, "_dialer", None)  # would fail at the first connection
    client.close()
    client.close()
    assert client.look() is None
