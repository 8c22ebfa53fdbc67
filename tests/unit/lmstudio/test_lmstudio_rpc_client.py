"""The websocket client against servers that misbehave, byte for byte; the stand-in for LM Studio has its own tests."""

import logging
import struct
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from rpc_raw import GOOD, ONE, good, raw_server, until

from exporter.clock import ManualClock
from exporter.config.model import Server
from exporter.lmstudio.rpc import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, QUIET_SECONDS, RARELY_SECONDS, RpcClient
from exporter.lmstudio.rpc_trouble import MAX_BYTES
from exporter.sources.http import Cancel

GENEROUS = 20.0
"""Seconds for a look that must succeed, however slow the machine is."""


@pytest.fixture
def served():
    """Starts a server with a script, and clients of it; all end with the test."""
    with_exits = []

    def serve(script, clock=None, cancel=None, tls=None, **config):
        manager = raw_server(script, tls)
        server = manager.__enter__()
        config = {"name": "desk", "url": server.url, **config}
        client = RpcClient(Server(**config), clock or ManualClock(1_790_000_000.0), cancel)
        with_exits.append((client, manager))
        return server, client

    yield serve
    for client, manager in with_exits:
        client.close()
        manager.__exit__(None, None, None)


def endpoints(server):
    return sorted({(namespace, endpoint) for namespace, endpoint, _ in server.calls})


# ---- what it asks


def test_a_look_asks_for_what_only_the_websocket_knows_and_for_nothing_else(served):
    server, client = served(good)
    state = client.look(GENEROUS)
    assert (state.info.version, state.info.pid, state.at) == ("0.4.24", 7, 1_790_000_000.0)
    assert [(each.identifier, each.status, each.queued) for each in state.instances] == [("m", "idle", 0)] * 2
    assert endpoints(server) == [
        ("embedding", "getInstanceProcessingState"),
        ("embedding", "listLoaded"),
        ("llm", "getInstanceProcessingState"),
        ("llm", "listLoaded"),
        ("system", "info"),
    ]
    calls = [call for peer in server.peers for call in peer.calls]
    assert {"type", "endpoint", "callId"} == set.intersection(*(set(call) for call in calls))
    assert {call["endpoint"] for call in calls if "parameter" in call} == {"getInstanceProcessingState"}


def test_connections_are_kept_from_look_to_look(served):
    server, client = served(good)
    for _ in range(5):
        assert client.look(GENEROUS) is not None
    assert len(server.peers) == 3


def test_off_never_connects(served):
    server, client = served(good, rpc="off")
    assert client.look(GENEROUS) is None
    assert not client.expected
    client.close()
    assert server.peers == []


def test_after_close_nothing_is_asked(served):
    server, client = served(good)
    client.close()
    assert client.look(GENEROUS) is None
    assert server.peers == []


def test_the_server_is_told_when_the_client_goes(served):
    server, client = served(good)
    client.look(GENEROUS)
    client.close()
    goodbyes = [server.controls.get(timeout=20) for _ in range(3)]
    assert goodbyes == [(8, struct.pack("!H", 1000))] * 3


@pytest.mark.parametrize(
    "config",
    [
        {"api_token": SecretStr("sk-lm-tL9sH4ED:MQZTWwaOsmlIEKL4EruT")},
        {"authorization": {"credentials": SecretStr("sk-lm-tL9sH4ED:MQZTWwaOsmlIEKL4EruT")}},
    ],
)
def test_an_api_token_goes_into_the_first_frame(served, config):
    identities = []

    def script(peer):
        identities.append(peer.greet())
        peer.answer_all(GOOD)

    _, client = served(script, **config)
    assert client.look(GENEROUS) is not None
    identity = {"authVersion": 1, "clientIdentifier": "tL9sH4ED", "clientPasskey": "MQZTWwaOsmlIEKL4EruT"}
    assert identities == [identity] * 3


def test_a_token_file_is_read_at_each_connection(served, tmp_path):
    file = tmp_path / "token.txt"
    file.write_text("sk-lm-oldtoken:aaaaaaaaaaaaaaaaaaaa\n")
    names = []

    def once(peer):
        names.append(peer.greet()["clientIdentifier"])
        for _ in range(2):
            call = peer.hear_call()
            peer.answer(call, GOOD[call["endpoint"]])

    _, client = served(once, api_token_file=file)
    assert client.look(GENEROUS) is not None
    file.write_text("sk-lm-newtoken:aaaaaaaaaaaaaaaaaaaa\n")
    # The script has answered its two calls and hangs up.
    assert client.look(GENEROUS) is not None
    assert names == ["oldtoken"] * 3 + ["newtoken"] * 3
    file.unlink()
    assert client.look(GENEROUS) is None
    assert "token.txt" in client.problem


def test_headers_and_the_credentials_of_a_gateway_go_with_the_upgrade(served):
    server, client = served(
        good,
        basic_auth={"username": "me", "password": SecretStr("secret")},
        http_headers={"X-Scope": "home", "Host": "lm.example"},
    )
    assert client.look(GENEROUS) is not None
    for peer in server.peers:
        assert peer.headers["authorization"] == "Basic bWU6c2VjcmV0"
        assert (peer.headers["x-scope"], peer.headers["host"]) == ("home", "lm.example")
        assert "origin" not in peer.headers
        assert peer.headers["user-agent"].startswith("lmwatch/")


def test_a_path_in_the_url_stays(served):
    server, client = served(good)
    client.close()
    other = RpcClient(Server(name="desk", url=f"{server.url}/lm"), ManualClock())
    assert other.look(GENEROUS) is not None
    other.close()
    assert {peer.path for peer in server.peers} == {"/lm/system", "/lm/llm", "/lm/embedding"}


def test_cookies_of_a_server_are_not_sent_back(served):
    def script(peer):
        peer.upgrade("Set-Cookie: a=b; Domain=127.0.0.1\r\n")
        peer.hear()
        peer.say(success=True)
        peer.answer_all(GOOD)

    server, client = served(script)
    assert client.look(GENEROUS) is not None
    client.close()
    again = RpcClient(Server(name="desk", url=server.url), ManualClock())
    assert again.look(GENEROUS) is not None
    again.close()
    assert all("cookie" not in peer.headers for peer in server.peers)


# ---- versions that differ


def unknown(peer, call):
    peer.say(
        type="communicationWarning", warning=f"Received rpcCall for unknown endpoint, endpoint = {call['endpoint']}"
    )


def test_a_server_without_system_info_is_asked_for_its_version(served):
    def system(peer):
        peer.greet()
        while True:
            call = peer.hear_call()
            if call["endpoint"] == "info":
                unknown(peer, call)
            else:
                peer.answer(call, {"version": "0.3.30", "build": 2})

    server, client = served({"system": system})
    for _ in range(3):
        state = client.look(GENEROUS)
        assert (state.info.version, state.info.pid) == ("0.3.30", None)
    assert [endpoint for namespace, endpoint, _ in server.calls if namespace == "system"] == ["info"] + ["version"] * 3


def test_a_server_that_tells_neither_is_looked_at_all_the_same(served):
    def system(peer):
        peer.greet()
        while True:
            unknown(peer, peer.hear_call())

    server, client = served({"system": system})
    for _ in range(3):
        assert client.look(GENEROUS).info.version == ""
    assert [endpoint for namespace, endpoint, _ in server.calls if namespace == "system"] == ["info", "version"]


def test_a_server_without_processing_states_is_asked_for_them_once(served):
    """It warns five times at most, and answers nothing after that."""

    def models(peer):
        peer.greet()
        warned = 0
        while True:
            call = peer.hear_call()
            if call["endpoint"] == "listLoaded":
                peer.answer(call, [{"identifier": f"m{n}", "instanceReference": f"r{n}"} for n in range(8)])
            elif warned < 5:
                warned += 1
                unknown(peer, call)

    server, client = served({"llm": models, "embedding": models})
    for _ in range(3):
        state = client.look(GENEROUS)
        assert [each.status for each in state.instances] == [None] * 16
    asked = [endpoint for namespace, endpoint, _ in server.calls if namespace == "llm"]
    assert asked.count("getInstanceProcessingState") == 8
    assert asked.count("listLoaded") == 3


def test_a_namespace_that_is_missing_is_left_out(served):
    def missing(peer):
        peer.raw(b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"error":"no such thing!"}')

    server, client = served({"embedding": missing, "system": missing})
    for _ in range(2):
        state = client.look(GENEROUS)
        assert [each.identifier for each in state.instances] == ["m"]
    assert len([peer for peer in server.peers if peer.namespace != "llm"]) == 2


def test_an_instance_that_went_meanwhile_has_no_state(served):
    def models(peer):
        peer.greet()
        peer.answer(peer.hear_call(), [*ONE, {"identifier": "gone", "instanceReference": "g"}])
        for call in (peer.hear_call(), peer.hear_call()):
            if call["parameter"]["specifier"]["instanceReference"] == "g":
                peer.say(type="rpcResult", callId=call["callId"])
            else:
                peer.say(type="rpcError", callId=call["callId"], error={"title": "Model is unloaded."})
        peer.hang()

    _, client = served({"llm": models})
    state = client.look(GENEROUS)
    assert [(each.identifier, each.status) for each in state.instances][:2] == [("m", None), ("gone", None)]


def test_answers_come_in_any_order_among_frames_of_any_kind(served):
    def models(peer):
        peer.greet()
        listing = peer.hear_call()
        peer.frame("", opcode=9)
        peer.frame("{broken")
        peer.frame(b"\x00\xff", opcode=2)
        peer.frame(b'{"type":"rpcResult","callId":1,"result":"\xff\xfe"', opcode=1)
        peer.say(type="keepAliveAck")
        peer.say(type="signalUpdate", subscribeId=1, patches=[], tags=[])
        peer.say(type="rpcResult", callId=999, result=[])
        peer.say(type="communicationWarning", warning="Received channelSend for unknown channel, channelId = 5")
        text = '{"type":"rpcResult","callId":1,"result":[{"identifier":"a","instanceReference":"ra"},{"identifier":"b","instanceReference":"rb"}]}'
        # In three fragments with a ping between them.
        peer.frame(text[:10], head=0x01)
        peer.frame(text[10:20], head=0x00)
        peer.frame("still there?", opcode=9)
        peer.frame(text[20:], head=0x80)
        assert listing["callId"] == 1
        first, second = peer.hear_call(), peer.hear_call()
        peer.answer(second, {"status": "generating", "queued": 2})
        peer.answer(second, {"status": "idle", "queued": 9})
        peer.answer(first, {"status": "idle", "queued": 0})
        peer.hang()

    server, client = served(
        {"llm": models, "embedding": lambda peer: (peer.greet(), peer.answer_all({"listLoaded": []}))}
    )
    state = client.look(GENEROUS)
    assert [(each.identifier, each.status, each.queued) for each in state.instances] == [
        ("a", "idle", 0),
        ("b", "generating", 2),
    ]
    assert (10, b"still there?") in [server.controls.get(timeout=20) for _ in range(2)]


# ---- what goes wrong


def plain(status, body=b"<html>no</html>", headers=b""):
    def script(peer):
        peer.raw(b"HTTP/1.1 %d No\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body))

    return script


def after_greeting(act):
    def script(peer):
        peer.greet()
        peer.hear_call()
        act(peer)

    return script


def refuse(peer):
    peer.upgrade()
    peer.hear()
    peer.say(success=False, error="Invalid API token sk-lm-tL9sH4ED:MQZTWwaOsmlIEKL4EruT")


def upgraded(act):
    def script(peer):
        peer.upgrade()
        peer.hear()
        act(peer)

    return script


def wrong_accept(peer):
    peer.raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"
    )


def flood(peer):
    while True:
        peer.frame(b"x" * 65000)


SILENT = 0.3
"""Seconds for a look that must fail by its deadline."""

# A row: the script, what it is, what the text says.
TROUBLES = {
    "a plain 200": (plain(200), "absent", "status 200"),
    "a 404": (plain(404), "absent", "status 404"),
    "a 401": (plain(401), "denied", "status 401"),
    "a 502 of a gateway": (plain(502), "failed", "status 502"),
    "a redirect": (plain(302, headers=b"Location: ws://127.0.0.1:9/llm\r\n"), "absent", "status 302"),
    "a status line that is none": (lambda peer: peer.raw(b"\r\n\r\n"), "absent", "no HTTP"),
    "no HTTP at all": (lambda peer: peer.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "absent", "begins with 'SSH"),
    "a wrong key": (wrong_accept, "absent", "does not fit the question"),
    "nothing": (lambda peer: peer.hang(), "failed", "no complete answer within"),
    "a connection that closes": (lambda peer: None, "failed", "connection lost"),
    "the token is refused": (refuse, "denied", "refused the client: Invalid API token <secret>"),
    "another program's websocket": (upgraded(lambda peer: peer.say(hello="world")), "absent", "not LM Studio's"),
    "a greeting in binary": (upgraded(lambda peer: peer.frame(b"\x00", opcode=2)), "absent", "not LM Studio's"),
    "no word after the upgrade": (upgraded(lambda peer: peer.hang()), "failed", "waiting to be accepted"),
    "closed after the upgrade": (upgraded(lambda peer: peer.frame(struct.pack("!H", 1008), opcode=8)), "failed", "connection lost"),
    "never an answer": (after_greeting(lambda peer: peer.hang()), "failed", "waiting for answers"),
    "closed before the answer": (after_greeting(lambda peer: None), "failed", "connection lost"),
    "garbage for ever": (after_greeting(flood), "failed", f"more than {MAX_BYTES} bytes"),
    "a frame of 2^62 bytes": (after_greeting(lambda peer: (peer.raw(b"\x81\x7f" + struct.pack("!Q", 1 << 62)), flood(peer))), "failed", f"more than {MAX_BYTES} bytes"),
    "a frame of unknown kind": (after_greeting(lambda peer: (peer.raw(b"\x8b\x00"), peer.hang())), "failed", "not a websocket as it should be"),
    "reserved bits": (after_greeting(lambda peer: (peer.raw(b"\xc1\x00"), peer.hang())), "failed", "not a websocket as it should be"),
    "a list that is none": (lambda peer: (peer.greet(), peer.answer_all({**GOOD, "listLoaded": {"models": []}})), "failed", "brought no list"),
    "an error for the list": (after_greeting(lambda peer: (peer.say(type="rpcError", callId=1, error={"title": "Boom"}), peer.hang())), "failed", "Boom"),
}  # fmt: skip


@pytest.mark.parametrize("what", TROUBLES)
def test_whatever_the_server_does_a_look_ends_with_nothing_and_says_why(served, what):
    script, _, words = TROUBLES[what]
    server, client = served({"llm": script}, rpc="on")
    # Garbage that fills the limit takes its time on a slow machine; what must fail by the deadline is quick.
    seconds = (
        SILENT if words in ("no complete answer within", "waiting to be accepted", "waiting for answers") else GENEROUS
    )
    assert client.look(seconds) is None
    assert words in client.problem
    assert client.problem.startswith(f"ws://127.0.0.1:{server.port}/llm: ")
    assert "MQZT" not in client.problem


@pytest.mark.parametrize("what", [what for what, (_, _, words) in TROUBLES.items() if "bytes" not in words])
def test_with_auto_what_cannot_work_is_asked_rarely_and_is_no_problem(served, clock, what):
    script, trouble, words = TROUBLES[what]
    server, client = served({"llm": script}, clock)
    assert client.look(SILENT if "wait" in words or "no complete" in words else GENEROUS) is None
    assert (client.expected, client.problem) == (False, "")
    before = len(server.peers)
    clock.advance(FIRST_WAIT_SECONDS - 0.1 if trouble == "failed" else RARELY_SECONDS - 1)
    assert client.look(GENEROUS) is None
    assert len(server.peers) == before
    server.scripts = good
    clock.advance(1)
    assert client.look(GENEROUS) is not None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.binary(max_size=300), greeted=st.booleans())
def test_no_bytes_whatever_make_a_look_raise(answer, greeted):
    def script(peer):
        if greeted:
            peer.greet()
            peer.hear_call()
        peer.raw(answer)

    with raw_server(script) as server:
        client = RpcClient(Server(name="desk", url=server.url), ManualClock())
        assert client.look(GENEROUS) is None
        client.close()


def test_nobody_there():
    with raw_server(good) as server:
        url = server.url
    client = RpcClient(Server(name="desk", url=url, rpc="on"), ManualClock())
    assert client.look(GENEROUS) is None
    assert "connection refused" in client.problem


# ---- connections that die


def test_a_connection_that_the_server_closed_is_replaced_within_the_look(served):
    server, client = served(good)
    assert client.look(GENEROUS) is not None
    for peer in tuple(server.peers):
        peer.sock.shutdown(2)
    assert client.look(GENEROUS) is not None
    assert len(server.peers) == 6


def test_a_connection_that_is_dead_without_being_closed_is_replaced_within_the_look(served):
    """As after the computer slept."""
    asleep = threading.Event()

    def script(peer):
        peer.greet()
        while True:
            call = peer.hear_call()
            if asleep.is_set() and peer in server.peers[:3]:
                peer.hang()
            peer.answer(call, GOOD[call["endpoint"]])

    server, client = served(script)
    assert client.look(GENEROUS) is not None
    asleep.set()
    assert client.look(2.0) is not None
    assert len(server.peers) == 6
    assert client.look(GENEROUS) is not None
    assert len(server.peers) == 6


def test_connecting_goes_on_where_the_time_of_a_look_ended(served, clock):
    """Over a slow line three connections take longer than a look."""
    slow = threading.Event()

    def llm(peer):
        if not slow.is_set():
            slow.set()
            peer.hang()
        good(peer)

    server, client = served({"llm": llm}, clock)
    assert client.look(SILENT) is None
    clock.advance(FIRST_WAIT_SECONDS)
    assert client.look(GENEROUS) is not None
    assert [peer.namespace for peer in server.peers].count("system") == 1


def test_waits_grow_while_it_fails_and_end_when_the_server_comes_back(served, clock):
    server, client = served({"llm": plain(502)}, clock, rpc="on")
    waits = []
    for _ in range(9):
        asked = len(server.peers)
        assert client.look(GENEROUS) is None
        assert len(server.peers) > asked
        waited = 0.0
        while client._not_before > clock.monotonic():
            clock.advance(FIRST_WAIT_SECONDS)
            waited += FIRST_WAIT_SECONDS
        waits.append(waited)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert max(waits) == LONGEST_WAIT_SECONDS
    assert client.look(GENEROUS) is None
    server.scripts = good
    assert client.look(GENEROUS) is None, "not due yet"
    client.look_again()
    assert client.look(GENEROUS) is not None
    assert client.problem == ""


def test_a_stop_from_another_thread_ends_a_look_at_once_and_is_no_failure(served, clock):
    cancel = Cancel()
    server, client = served({"embedding": lambda peer: peer.hang()}, clock, cancel, rpc="on")
    found = []
    thread = threading.Thread(target=lambda: found.append(client.look(3600.0)))
    thread.start()
    until(lambda: any(peer.namespace == "embedding" and peer.headers for peer in server.peers))
    cancel.cancel()
    thread.join(20)
    assert found == [None]
    assert client.problem == ""


# ---- what is logged


def lines(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name.endswith(".rpc")]


UP = "the websocket answers: model states are read"
DOWN = "the websocket does not answer: model states are not known"


def test_a_server_without_an_rpc_is_mentioned_once(served, clock, caplog):
    caplog.set_level(logging.DEBUG)
    _, client = served(plain(404), clock)
    for _ in range(20):
        client.look(GENEROUS)
        clock.advance(RARELY_SECONDS)
    assert lines(caplog) == [("INFO", DOWN)]


def test_one_that_refuses_the_token_falls_silent_also_if_it_worked_before(served, clock, caplog):
    caplog.set_level(logging.DEBUG)
    server, client = served(good, clock)
    assert client.look(GENEROUS) is not None
    server.scripts = refuse
    for peer in tuple(server.peers):
        peer.sock.shutdown(2)
    assert client.look(GENEROUS) is None
    assert (client.expected, client.problem) == (False, "")
    assert lines(caplog) == [("INFO", UP), ("INFO", DOWN)]


def test_with_on_trouble_is_a_warning_now_and_then(served, clock, caplog):
    caplog.set_level(logging.DEBUG)
    _, client = served(plain(404), clock, rpc="on")
    for _ in range(int(3 * QUIET_SECONDS / LONGEST_WAIT_SECONDS)):
        client.look(GENEROUS)
        clock.advance(LONGEST_WAIT_SECONDS)
    assert client.expected
    assert lines(caplog) == [("WARNING", DOWN)] * 3


def test_up_and_down_in_quick_succession_fills_no_log(served, clock, caplog):
    caplog.set_level(logging.DEBUG)
    server, client = served(good, clock)
    for _ in range(30):
        server.scripts = good
        assert client.look(GENEROUS) is not None
        server.scripts = plain(502)
        for peer in tuple(server.peers):
            with_suppressed_shutdown(peer)
        assert client.look(GENEROUS) is None
        clock.advance(FIRST_WAIT_SECONDS)
    assert lines(caplog) == [("INFO", UP), ("WARNING", DOWN)]


def with_suppressed_shutdown(peer):
    try:
        peer.sock.shutdown(2)
    except OSError:
        return
