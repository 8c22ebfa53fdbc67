"""What comes in goes out: the same bytes, piece by piece, in both directions, whatever they mean."""

import gzip
import select
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_wire import EVENTS_HEAD, LAST_CHUNK, answer, chunk, connect, passing, request

MASK = b"\x81\x85abcd\x09\x07\x0f\x08\x0e"
EXCHANGES = {
    "GET": (b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", answer(b'{"data": []}')),
    "HEAD": (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"),
    "OPTIONS": (b"OPTIONS * HTTP/1.1\r\nhost:   a  \r\n\r\n", b"HTTP/1.1 204 No Content\r\nAllow: *\r\n\r\n"),
    "DELETE, unknown verb, odd spelling": (
        b"BREW /pot?x=1#y HTTP/1.1\r\nHOST:a\r\nx-a:\t1\r\nx-a: 2\r\n\r\n",
        answer(b""),
    ),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
    "a JSON body": (request(b'{"model": "m", "messages": []}'), answer(b'{"choices": []}')),
    "credentials": (request(b"{}", "/v1/chat/completions", "Authorization: Bearer sk-lm-12345678:abc"), answer(b"{}")),
    "a chunked request with trailers": (
        b"POST /v1/files HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        + chunk(b"\x00\xff")
        + chunk(b"two")
        + b"0\r\nX-Sum: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"yes") + b"0\r\nX-Sum: 9\r\n\r\n",
    ),
    "a stream": (
        request(b'{"stream": true}'),
        EVENTS_HEAD + chunk(b"data: {}\n\n") + chunk(b"data: [DONE]\n\n") + LAST_CHUNK,
    ),
    "a packed answer": (request(b"{}"), answer(gzip.compress(b"{}"), "application/json", "Content-Encoding: gzip")),
    "a broken packed answer": (request(b"{}"), answer(b"no gzip", "application/json", "Content-Encoding: gzip")),
    "an unknown coding": (request(b"{}"), answer(b"\x01\x02", "application/json", "Content-Encoding: br")),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\xfc", b"\x15\x03\x01\x00\x02\x02\x46"),
    "HTTP/2 with prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00", b"\x00\x00\x06\x04\x00"),
    "lengths that contradict each other": (
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    ),
    "an answer that nobody can read": (request(b"{}"), b"HTTP/1.1 banana\r\n\r\n\x00"),
}


@pytest.mark.parametrize(("sent", "answered"), EXCHANGES.values(), ids=EXCHANGES)
@pytest.mark.parametrize("step", [1, 1 << 20], ids=["byte by byte", "at once"])
def test_every_byte_passes_unchanged(sent, answered, step):
    def script(line):
        line.hear(len(sent))
        for at in range(0, len(answered), step):
            line.say(answered[at : at + step])

    with passing(script) as (upstream, proxy), connect(proxy) as client:
        for at in range(0, len(sent), step):
            client.say(sent[at : at + step])
        assert client.hear_all() == answered
        assert upstream.lines[0].heard == sent


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_bodies_in_any_pieces_pass_unchanged(data):
    bodies = data.draw(st.lists(st.binary(max_size=2000), min_size=1, max_size=4))
    answers = [answer(body[::-1]) for body in bodies]
    script_cuts = [data.draw(st.lists(st.integers(0, len(one)), max_size=5)) for one in answers]

    def script(line):
        for body, one, cuts in zip(bodies, answers, script_cuts, strict=True):
            assert line.hear(len(request(body))) == request(body)
            for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(one)], strict=True):
                line.say(one[start:end])

    with passing(script) as (upstream, proxy), connect(proxy) as client:
        for body, one in zip(bodies, answers, strict=True):
            raw = request(body)
            cut = data.draw(st.integers(0, len(raw)))
            client.say(raw[:cut])
            client.say(raw[cut:])
            assert client.hear(len(one)) == one
        assert len(upstream.lines) == 1, "one connection to the server for one of the client"


def test_a_piece_is_with_the_client_before_the_next_is_sent():
    arrived = threading.Semaphore(0)
    events = [chunk(b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number) for number in range(20)]

    def script(line):
        line.hear_until(b"}")
        line.say(EVENTS_HEAD)
        for event in events:
            assert arrived.acquire(timeout=10), "the piece before never reached the client"
            line.say(event)

    with passing(script) as (_, proxy), connect(proxy) as client:
        client.say(request(b'{"stream": true}'))
        assert client.hear(len(EVENTS_HEAD)) == EVENTS_HEAD
        for event in events:
            arrived.release()
            assert client.hear(len(event)) == event
        assert client.hear_all() == b""


def test_a_request_is_with_the_server_piece_by_piece():
    heard = threading.Semaphore(0)
    body = b"abcdefghij"

    def script(line):
        line.hear_until(b"\r\n\r\n")
        for _ in body:
            heard.release()
            line.hear(1)
        line.say(answer(b""))

    with passing(script) as (_, proxy), connect(proxy) as client:
        raw = request(body)
        client.say(raw[: -len(body)])
        for at in range(len(body)):
            assert heard.acquire(timeout=10), "the piece before never reached the server"
            client.say(body[at : at + 1])
        assert client.hear(len(answer(b""))) == answer(b"")


def test_the_client_is_told_to_go_on_by_the_server():
    """With `Expect: 100-continue` the body waits for the server's word, which the proxy does not invent."""
    body = b'{"model": "m"}'
    head = request(body, "/v1/chat/completions", "Expect: 100-continue")[: -len(body)]
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"

    def script(line):
        assert line.hear(len(head)) == head
        line.say(go_on)
        assert line.hear(len(body)) == body
        line.say(answer(b"{}"))

    with passing(script) as (_, proxy), connect(proxy) as client:
        client.say(head)
        assert client.hear(len(go_on)) == go_on
        client.say(body)
        assert client.hear_all() == answer(b"{}")


def test_a_refusal_comes_through_while_the_body_is_still_under_way():
    """A server may answer before it has read everything, and close."""
    refusal = answer(b"too large", "text/plain", "Connection: close", status="413 Too Large")

    def script(line):
        line.hear_until(b"\r\n\r\n")
        line.say(refusal)
        line.sock.shutdown(socket.SHUT_WR)
        while line.sock.recv(65536):
            pass

    with passing(script) as (_, proxy), connect(proxy) as client:
        client.say(b"POST /v1/files HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1000)
        assert client.hear_all() == refusal


def test_a_websocket_passes_as_it_is_in_both_directions():
    upgrade = b"GET /llm HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n"
    agreed = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    def script(line):
        assert line.hear(len(upgrade)) == upgrade
        line.say(agreed + b"\x81\x02hi")
        for _ in range(100):
            line.say(line.hear(len(MASK))[::-1])

    with passing(script) as (_, proxy), connect(proxy) as client:
        client.say(upgrade)
        assert client.hear(len(agreed) + 4) == agreed + b"\x81\x02hi"
        for _ in range(100):
            client.say(MASK)
            assert client.hear(len(MASK)) == MASK[::-1]
        assert client.hear_all() == b""


def test_pipelined_requests_are_answered_in_order():
    numbers = range(30)

    def script(line):
        for number in numbers:
            line.hear(len(request(b"%02d" % number)))
            line.say(answer(b"%02d" % number))

    with passing(script) as (_, proxy), connect(proxy) as client:
        client.say(b"".join(request(b"%02d" % number) for number in numbers))
        assert client.hear_all() == b"".join(answer(b"%02d" % number) for number in numbers)


def test_fifty_clients_at_the_same_time_get_their_own_answers():
    together = threading.Barrier(50)

    def script(line):
        body = line.hear(len(request(b"00")))[-2:]
        together.wait(10)
        line.say(EVENTS_HEAD + b"".join(chunk(b"data: %s %d\n\n" % (body, at)) for at in range(50)) + LAST_CHUNK)

    def ask(number):
        with connect(proxy) as client:
            client.say(request(b"%02d" % number))
            return client.hear_all()

    with passing(script) as (_, proxy), ThreadPoolExecutor(50) as pool:
        for number, got in enumerate(pool.map(ask, range(50))):
            assert got.count(b"data: %02d " % number) == 50
            assert got.endswith(LAST_CHUNK)


@pytest.mark.parametrize("upwards", [True, False], ids=["request", "answer"])
def test_a_huge_body_passes_without_growing_memory(upwards):
    """64 MB of JSON on a route that is counted, so that the counting holds on to nothing either."""
    size, piece = 64 << 20, b'"' + b"x" * ((1 << 20) - 1)
    head = request(b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: %d" % size) + b"\r\n\r\n"
    answer_head = answer(b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: %d" % size) + b"\r\n\r\n"

    def pour(line):
        for _ in range(size // len(piece)):
            line.say(piece)

    def drain(line):
        left = size
        buffer = bytearray(1 << 20)
        while left:
            got = line.sock.recv_into(buffer)
            assert got
            left -= got

    def script(line):
        if upwards:
            line.hear(len(head))
            drain(line)
            line.say(answer(b"{}"))
        else:
            line.hear(len(request()))
            line.say(answer_head)
            pour(line)

    with passing(script) as (_, proxy), connect(proxy) as client:
        tracemalloc.start()
        try:
            if upwards:
                client.say(head)
                pour(client)
                assert client.hear_all() == answer(b"{}")
            else:
                client.say(request())
                client.hear(len(answer_head))
                drain(client)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 24 << 20, "at most 8 MB are kept of a request, and 4 MB of an answer"


def test_a_slow_client_holds_up_the_server_and_not_the_memory():
    """Nothing more is read from the server than the client takes; once it takes, everything comes."""
    block = b"x" * 65536
    blocked = threading.Event()

    def script(line):
        line.hear(len(request()))
        line.sock.setblocking(False)
        line.sent = 0
        try:
            while line.sent < 200 << 20:
                line.sent += line.sock.send(block)
                waits = select.select([], [line.sock], [], 0.2)[1]
                if not waits:
                    break
        finally:
            blocked.set()

    with passing(script) as (upstream, proxy), connect(proxy) as client:
        client.say(request())
        assert blocked.wait(10)
        sent = upstream.lines[0].sent
        assert sent < 200 << 20, "200 MB were taken from the server for a client that took nothing"
        got = 0
        while data := client.sock.recv(1 << 20):
            got += len(data)
        assert got == sent
