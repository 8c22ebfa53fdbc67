"""The metering proxy before the stand-in for LM Studio: lmwatch's own client and a browser of the API notice nothing, every fault is counted."""

import http.client
import json
import time
from contextlib import contextmanager, suppress

import pytest
import websocket
from proxy_books import Books, ask
from real_programs import eventually

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.embedded.scripted import Reply, ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault
from exporter.lmstudio.client import LmStudioClient
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.health import HealthPoller
from exporter.lmstudio.session import open_session
from exporter.lmstudio.wire import ChatRequest, Message
from exporter.sources.http import Cancel

TEXT = "All is calm today, and it will stay so for a while."
CHAT = {"model": "scripted-1b", "messages": [{"role": "user", "content": "Is that normal?"}]}


@pytest.fixture
def engine():
    return ScriptedEngine(lambda _: Reply(TEXT, reasoning="Let me see."), tokens_per_second=500, pause=time.sleep)


@pytest.fixture
def studio(engine):
    with StudioServer([engine], keep_alive_seconds=0.2, slot_wait_seconds=0.2) as server:
        yield server


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def proxy(studio, books):
    proxy = books.start(studio.url)
    yield proxy
    proxy.stop(0)
    assert proxy.uncounted == 0


@contextmanager
def client_of(address, name="desk"):
    config = Server(name=name, url=f"http://{address}")
    session = open_session(config)
    try:
        yield LmStudioClient(config, session, SystemClock()), HealthPoller(config, session, SystemClock(), Cancel())
    finally:
        session.close()


def chat(address, seconds=60, **options):
    request = ChatRequest("scripted-1b", (Message("user", "Is that normal?"),), 40, **options)
    with client_of(address) as (client, _):
        return client.chat(request, deadline_seconds=seconds, api="openai")


def without_chance(body):
    """The JSON without ids and times of its own."""
    document = json.loads(body)
    return {
        key: value
        for key, value in document.items()
        if key not in ("id", "response_id", "created", "created_at", "output")
    }


def test_lists_and_chats_are_the_same_with_and_without_the_proxy(studio, proxy):
    direct = studio.url.removeprefix("http://")
    for path in ("/api/v1/models", "/api/v0/models", "/v1/models", "/nowhere", "/lmstudio-greeting"):
        assert ask(proxy.address, "GET", path) == ask(direct, "GET", path)
    for path, body in (
        ("/v1/chat/completions", CHAT),
        ("/api/v0/chat/completions", CHAT),
        ("/api/v1/chat", {"model": "scripted-1b", "input": "Is that normal?"}),
        ("/v1/responses", {"model": "scripted-1b", "input": "Is that normal?"}),
        ("/v1/messages", CHAT | {"max_tokens": 9}),
        ("/v1/completions", {"model": "scripted-1b", "prompt": "x"}),
    ):
        through, straight = ask(proxy.address, "POST", path, body), ask(direct, "POST", path, body)
        assert through[0] == straight[0] == 200
        assert without_chance(through[1]) == without_chance(straight[1])


def test_what_the_client_measures_is_what_the_proxy_counts(proxy, books):
    answer = chat(proxy.address)
    books.settled(1)
    (counted,) = books.predictions
    assert (answer.text, counted.text, counted.reasoning) == (TEXT, "", "")
    for figure in ("model", "finish_reason", "prompt_tokens", "output_tokens", "reasoning_tokens"):
        assert getattr(counted, figure) == getattr(answer, figure), figure
    assert 0 < counted.time_to_first_token_seconds <= answer.time_to_first_token_seconds
    assert counted.time_to_first_token_seconds < counted.duration_seconds <= answer.duration_seconds


def test_health_polls_pass_and_are_no_predictions(studio, proxy, books):
    with client_of(proxy.address) as (_, poller), client_of(studio.url.removeprefix("http://")) as (_, straight):
        through, direct = poller.poll(), straight.poll()
    assert through.up
    assert (through.api, through.models) == (direct.api, direct.models)
    assert not books.predictions
    assert {model for model, _ in books.responses} == {""}


def test_the_websocket_rpc_passes(proxy, books):
    socket = websocket.create_connection(f"ws://{proxy.address}/llm", timeout=60)
    try:
        socket.send(json.dumps({"authVersion": 1, "clientIdentifier": "test", "clientPasskey": "x"}))
        assert json.loads(socket.recv()) == {"success": True}
        socket.send(json.dumps({"type": "rpcCall", "endpoint": "listLoaded", "callId": 1}))
        answer = json.loads(socket.recv())
        assert [model["identifier"] for model in answer["result"]] == ["scripted-1b"]
    finally:
        socket.close()
    assert books.responses == [("", 101)]


FAULTS = [
    (Fault("error_200"), "unknown"),
    (Fault("html_500"), "server_error"),
    (Fault("empty_stream"), "empty_answer"),
    (Fault("context_overflow"), "context_overflow"),
    (Fault("evicted"), "no_model_loaded"),
    (Fault("crashed"), "crashed"),
    (Fault("channel_error"), "channel_error"),
    (Fault("slot_timeout"), "slot_timeout"),
    (Fault("error_event"), "server_error"),
    (Fault("reset"), "unreachable"),
    (Fault("reset_mid_stream"), "stream_cut"),
    (Fault("unauthorized"), "auth"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS, ids=[fault.kind for fault, _ in FAULTS])
def test_client_and_proxy_agree_on_a_failure_and_the_next_call_succeeds(studio, proxy, books, fault, reason):
    # The client takes the first reset for a connection that was closed while it was idle, and asks once more.
    times = 2 if fault.kind == "reset" else 1
    studio.faults.inject(fault, times=times)
    with pytest.raises(ModelFailure) as raised:
        chat(proxy.address)
    books.settled(times)
    assert raised.value.reason == reason
    assert books.failures == [("scripted-1b", reason)] * times
    if "scripted-1b" not in studio.loaded:
        studio.load("scripted-1b")
    assert chat(proxy.address).text == TEXT


def test_another_model_than_asked_is_counted_under_its_own_name(studio, proxy, books):
    studio.faults.inject(Fault("wrong_model", text="someone-else"))
    chat(proxy.address)
    books.settled(1)
    (counted,) = books.predictions
    assert (counted.model, counted.asked_model) == ("someone-else", "scripted-1b")


def test_a_client_that_gives_up_stops_the_model(studio, proxy, books, engine):
    studio.faults.inject(Fault("hang", after_pieces=3))
    with pytest.raises(ModelFailure, match="timeout"):
        chat(proxy.address, seconds=1.5)
    books.settled(1)
    assert books.failures == [("scripted-1b", "cancelled")]
    eventually(lambda: engine.abandoned == 1, what="the engine was told to stop")


def test_idle_connections_that_lm_studio_closes_cost_no_request(studio, proxy, books):
    """Requests on kept connections, some just when the server closes them."""
    with client_of(proxy.address) as (client, _):
        for pause in (0.0, 0.19, 0.2, 0.201, 0.205, 0.25, 0.0, 0.199, 0.2005):
            time.sleep(pause)
            request = ChatRequest("scripted-1b", (Message("user", "Hello"),), 5)
            assert client.chat(request, deadline_seconds=60, api="openai").output_tokens == 5
    books.settled(9)
    assert not books.failures
    assert len(studio.received) >= 9


def test_a_server_that_goes_and_comes_back_needs_no_help(studio, proxy, books):
    assert chat(proxy.address).text == TEXT
    studio.stop()
    status, body = ask(proxy.address, "POST", "/v1/chat/completions", CHAT)
    assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_unreachable")
    studio.start()
    assert chat(proxy.address).text == TEXT
    books.settled(3)
    assert books.failures == [("scripted-1b", "unreachable")]
    assert ("scripted-1b", 502) in books.responses


def test_a_server_killed_in_the_middle_of_answers_ends_them_all(studio, proxy, books):
    studio.faults.inject(Fault("hang", after_pieces=2), times=None)
    host, _, port = proxy.address.rpartition(":")
    connections = []
    for _ in range(4):
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.request("POST", "/v1/chat/completions", json.dumps(CHAT | {"stream": True}))
        connections.append((connection, connection.getresponse()))
    for _, response in connections:
        assert response.readline().startswith(b"data: ")
    studio.stop()
    for connection, response in connections:
        with suppress(http.client.IncompleteRead, ConnectionError):
            response.read()
            pytest.fail("the cut looked like an end")
        connection.close()
    books.settled(4)
    assert books.failures == [("scripted-1b", "stream_cut")] * 4
    eventually(lambda: proxy.connections == 0, what="all connections ended")
