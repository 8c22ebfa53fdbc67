"""Which answer belongs to which request; and that nothing which goes wrong in the counting reaches the passing."""

import json
from types import SimpleNamespace

import pytest
from proxy_wire import EVENTS_HEAD, LAST_CHUNK, answer, chunk, connect, passing, request, wait_until

from exporter.proxy.dialogue import Dialogue
from exporter.proxy.exchange import Exchange

HOOKS = {
    "__init__": 3, "request_body": 3, "request_end": 3, "answer_head": 2, "answer_body": 2, "answer_end": 2, "broken": 1
}  # fmt: skip
"""What may raise, and how many exchanges are lost by that when two requests are answered and a third is not."""


class Noted:
    """An exchange that writes down what it is told."""

    def __init__(self, head, at):
        self.told = [(" ".join(head.first[:2]), at)]
        self.body = b""

    def request_body(self, piece):
        self.body += bytes(piece)

    def request_end(self):
        self.told.append(("asked", self.body))
        self.body = b""

    def answer_head(self, head):
        self.told.append(("status", head.first[1]))

    def answer_body(self, piece, at):
        del at
        self.body += bytes(piece)

    def answer_end(self, at):
        self.told.append(("answered", self.body, at))

    def broken(self, how, at):
        self.told.append((how, at))


@pytest.fixture
def noted():
    exchanges, uncounted = [], []

    def begin(head, at):
        exchanges.append(Noted(head, at))
        return exchanges[-1]

    dialogue = Dialogue(begin, uncounted.append)
    return SimpleNamespace(dialogue=dialogue, exchanges=exchanges, uncounted=uncounted)


def test_pipelined_answers_belong_to_their_requests(noted):
    noted.dialogue.sent(request(b"a") + request(b"b", "/v1/embeddings"), 1.0)
    assert not noted.dialogue.is_idle
    noted.dialogue.received(answer(b"A")[:-1], 2.0)
    noted.dialogue.received(b"A" + answer(b"B", status="400 No"), 3.0)
    assert [exchange.told for exchange in noted.exchanges] == [
        [("POST /v1/chat/completions", 1.0), ("asked", b"a"), ("status", "200"), ("answered", b"A", 3.0)],
        [("POST /v1/embeddings", 1.0), ("asked", b"b"), ("status", "400"), ("answered", b"B", 3.0)],
    ]
    assert noted.dialogue.is_idle


def test_the_answer_to_head_has_no_body(noted):
    noted.dialogue.sent(b"HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", 1.0)
    noted.dialogue.received(answer(b"")[:-4] + b"\r\n\r\n" + answer(b"got"), 2.0)
    assert noted.exchanges[1].told[-1] == ("answered", b"got", 2.0)


def test_an_interim_answer_is_not_the_answer(noted):
    noted.dialogue.sent(request(b"a"), 1.0)
    noted.dialogue.received(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 2.0)
    assert noted.exchanges[0].told[-1] == ("asked", b"a")
    noted.dialogue.received(answer(b"A"), 3.0)
    assert noted.exchanges[0].told[2:] == [("status", "200"), ("answered", b"A", 3.0)]


def test_a_connection_is_idle_only_between_requests(noted):
    dialogue, raw = noted.dialogue, request(b"ab")
    assert dialogue.is_idle
    for at in range(len(raw)):
        dialogue.sent(raw[at : at + 1], 1.0)
        assert not dialogue.is_idle
    dialogue.received(answer(b""), 2.0)
    assert dialogue.is_idle


def test_an_answer_before_the_request_has_ended_does_not_make_it_idle(noted):
    noted.dialogue.sent(request(b"ab")[:-1], 1.0)
    noted.dialogue.received(answer(b"no", status="413 No"), 2.0)
    assert not noted.dialogue.is_idle
    noted.dialogue.sent(b"b", 3.0)
    assert noted.dialogue.is_idle
    assert [told[0] for told in noted.exchanges[0].told[1:]] == ["status", "answered", "asked"]


def test_an_upgrade_ends_the_reading(noted):
    noted.dialogue.sent(b"GET /llm HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", 1.0)
    noted.dialogue.received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02hi", 2.0)
    noted.dialogue.sent(b"\x81\x80no HTTP\r\n\r\n", 3.0)
    noted.dialogue.received(b"\x00" * 100, 3.0)
    assert noted.dialogue.is_tunnel
    assert not noted.dialogue.is_idle
    assert noted.exchanges[0].told[-2:] == [("status", "101"), ("answered", b"", 2.0)]
    assert not noted.uncounted


@pytest.mark.parametrize(("in_order", "end"), [(True, ("answered", b"half", 5.0)), (False, ("cut", 5.0))])
def test_without_a_length_only_an_orderly_end_completes_the_answer(noted, in_order, end):
    noted.dialogue.sent(request(b"a"), 1.0)
    noted.dialogue.received(b"HTTP/1.0 200 OK\r\n\r\nhalf", 2.0)
    noted.dialogue.server_ended(5.0, in_order=in_order)
    assert noted.exchanges[0].told[-1] == end


@pytest.mark.parametrize("how", ["cut", "cancelled", "unreachable"])
def test_all_that_waits_is_told_that_nothing_comes(noted, how):
    noted.dialogue.sent(request(b"a") + request(b"b"), 1.0)
    noted.dialogue.broken(how, 4.0)
    noted.dialogue.broken("cancelled", 5.0)
    assert [exchange.told[-1] for exchange in noted.exchanges] == [(how, 4.0), (how, 4.0)]


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n", b"x" * 300_000])
def test_what_is_no_http_is_not_read_further(noted, nonsense):
    noted.dialogue.sent(nonsense, 1.0)
    noted.dialogue.sent(request(b"a"), 2.0)
    noted.dialogue.received(answer(b"A"), 2.0)
    assert noted.dialogue.is_lost
    assert not noted.dialogue.is_idle
    assert noted.uncounted == [None]
    assert noted.exchanges == []


def test_an_answer_to_nothing_ends_the_reading(noted):
    """As Node's 408, when a request does not come in time."""
    noted.dialogue.received(answer(b"", status="408 Request Timeout"), 1.0)
    assert noted.dialogue.is_lost


def test_more_open_requests_than_anybody_sends_end_the_reading(noted):
    noted.dialogue.sent(b"GET / HTTP/1.1\r\n\r\n" * 1001, 1.0)
    assert noted.dialogue.is_lost
    noted.dialogue.broken("cut", 2.0)


@pytest.mark.parametrize("hook", HOOKS)
def test_whatever_raises_in_the_counting_everything_passes(monkeypatch, books, hook, caplog):
    """Requests, streams and the end of the connection; the failure is counted, and logged without what was said."""

    def fail(*_, **__):
        raise KeyError("a secret that the user wrote")

    monkeypatch.setattr(Exchange, hook, fail)
    events = EVENTS_HEAD + chunk(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n') + LAST_CHUNK

    def script(line):
        for _ in range(2 if len(upstream.lines) == 1 else 0):
            line.hear(len(request(b"{}")))
            line.say(events)
        line.hear(len(request(b"{}")))

    with passing(script, books) as (upstream, proxy), connect(proxy) as client:
        for _ in range(2):
            client.say(request(b"{}"))
            assert client.hear(len(events)) == events
        client.say(request(b"{}"))
        assert client.hear_all() == b""
        client.close()
        wait_until(lambda: proxy.connections == 0, "the connection ended")
        assert proxy.uncounted == HOOKS[hook]
    assert "KeyError" in str([vars(record) for record in caplog.records])
    assert "secret" not in caplog.text + str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("broken", ["prediction", "failure", "response", "context_of"])
def test_whatever_raises_in_those_who_are_told_everything_passes(books, broken):
    def fail(*_):
        raise RuntimeError

    good = answer(json.dumps({"model": "qwen/qwen3-4b", "choices": [{"message": {"content": "a"}}]}).encode())
    bad = answer(b'{"error": "x"}', status="500 No")

    def script(line):
        for reply in (good, bad):
            line.hear(len(request(b"{}")))
            line.say(reply)
        line.hear_all()

    options = {"context_of": fail} if broken == "context_of" else {}
    if not options:
        setattr(books, broken, fail)
    with passing(script, books, **options) as (_, proxy), connect(proxy) as client:
        for reply in (good, bad):
            client.say(request(b"{}"))
            assert client.hear(len(reply)) == reply
        wait_until(lambda: proxy.uncounted, "the failure was noticed")
