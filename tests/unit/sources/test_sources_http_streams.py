"""Answers that are read while they arrive, and calls that another thread ends."""

import gzip
import queue
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sources_fake_server import full, listening, wait_until

from exporter.sources.http import Cancel, HttpError

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"


def opened(session, url, **kwargs):
    return session.stream(kwargs.pop("method", "GET"), url, **{"deadline_seconds": 10.0, **kwargs})


def test_each_piece_is_there_as_soon_as_it_was_sent(server, session):
    """The server sends the next piece only after the client has read the one before."""
    go_on = queue.SimpleQueue()

    def events(_, reply):
        reply.raw(HEAD)
        for number in range(3):
            reply.chunk(b"data: %d\n\n" % number)
            go_on.get(timeout=10)
        reply.chunk(b"")

    got = []
    with opened(session, server.on("/events", events)) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        for piece in stream.chunks():
            got.append(piece)
            go_on.put(None)
    assert got == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_a_stream_sends_json_and_asks_for_no_compression(server, session):
    url = server.reply("/chat", b"{}", method="POST")
    with opened(session, url, method="POST", json={"stream": True}, headers={"Accept": "text/event-stream"}) as stream:
        assert b"".join(stream.chunks()) == b"{}"
    assert server.seen[0].body == b'{"stream": true}'
    assert server.seen[0].headers["accept-encoding"] == "identity"


def test_a_compressed_stream_is_unpacked_all_the_same(server, session):
    url = server.reply("/z", gzip.compress(b"hello"), Content_Encoding="gzip")
    with opened(session, url) as stream:
        assert b"".join(stream.chunks()) == b"hello"


def test_a_stream_that_was_read_to_its_end_leaves_a_connection_to_use_again(server, session):
    url = server.reply("/x", b"body")
    for _ in range(3):
        with opened(session, url) as stream:
            assert b"".join(stream.chunks()) == b"body"
    assert len(server.connections) == 1


def test_leaving_a_stream_early_closes_its_connection(server, session):
    gone = threading.Event()

    def endless(_, reply):
        reply.raw(HEAD)
        try:
            while not reply.stopping.is_set():
                reply.chunk(b"x" * 1000)
        except OSError:
            gone.set()

    with opened(session, server.on("/x", endless)) as stream:
        next(stream.chunks())
    wait_until(gone.is_set)


def test_the_body_of_an_error_is_read_up_to_a_limit(server, session):
    url = server.reply("/e", b"x" * 100_000, status=500)
    with opened(session, url) as stream:
        assert stream.status == 500
        assert stream.read(100) == b"x" * 100
    with opened(session, server.reply("/short", b"why", status=400)) as stream:
        assert stream.read(100) == b"why"


def test_a_stream_that_breaks_off_raises(server, session):
    def broken(_, reply):
        reply.raw(HEAD)
        reply.chunk(b"data: 1\n\n")
        reply.close()

    got = []
    with pytest.raises(HttpError) as caught, opened(session, server.on("/b", broken)) as stream:
        got.extend(stream.chunks())
    assert caught.value.kind == "reset"


def test_the_deadline_covers_a_stream_to_its_end(server, session):
    def slow(_, reply):
        reply.raw(HEAD)
        reply.drip(b"1\r\na\r\n")

    with (
        pytest.raises(HttpError) as caught,
        opened(session, server.on("/s", slow), deadline_seconds=0.25) as stream,
    ):
        for _ in stream.chunks():
            pass
    assert caught.value.kind == "timeout"
    assert "bytes so far" in str(caught.value)


def cancelled_while(call, cancel, ready):
    """The error that a call ends with when it is cancelled once `ready` is true."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call)
        wait_until(ready)
        cancel.cancel()
        with pytest.raises(HttpError) as caught:
            running.result(timeout=10)
    return caught.value


def test_cancel_wakes_a_reader_that_waits_for_the_first_byte(server, session):
    cancel = Cancel()
    url = server.on("/h", lambda _, reply: reply.hang())

    error = cancelled_while(
        lambda: session.get(url, deadline_seconds=60, max_bytes=10, cancel=cancel),
        cancel,
        lambda: bool(server.seen),
    )
    assert error.kind == "cancelled"
    assert cancel.is_set()


@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.1 200 OK\r\n\r\n"])
def test_cancel_wakes_a_reader_in_the_middle_of_a_stream(server, session, head):
    cancel = Cancel()
    first = threading.Event()

    def events(_, reply):
        reply.raw(head + b"5\r\nhello\r\n")
        reply.hang()

    url = server.on("/h", events)

    def read():
        with opened(session, url, cancel=cancel, deadline_seconds=60) as stream:
            for _ in stream.chunks():
                first.set()

    assert cancelled_while(read, cancel, first.is_set).kind == "cancelled"


def test_cancel_ends_a_tls_handshake(open_session):
    cancel = Cancel()
    with listening() as sock:
        sock.settimeout(10)
        url = f"https://127.0.0.1:{sock.getsockname()[1]}/"
        session = open_session()
        accepted = []

        def hello_arrived():
            if not accepted:
                accepted.append(sock.accept()[0])
            return bool(accepted[0].recv(1))

        error = cancelled_while(
            lambda: session.get(url, deadline_seconds=60, max_bytes=10, cancel=cancel), cancel, hello_arrived
        )
        accepted[0].close()
    assert error.kind == "cancelled"


def test_cancel_ends_an_attempt_to_connect(open_session):
    cancel, session = Cancel(), open_session()
    with full() as (host, port):
        error = cancelled_while(
            lambda: session.get(f"http://{host}:{port}/", deadline_seconds=60, max_bytes=10, cancel=cancel),
            cancel,
            lambda: any(call.progress().startswith("connecting") for call in cancel._calls),
        )
    assert error.kind == "cancelled"


def test_cancel_ends_the_wait_for_a_name_server(open_session, monkeypatch):
    asked, never, real = threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(host, *args, **kwargs):
        if host != "slow.invalid" or kwargs.get("flags"):
            return real(host, *args, **kwargs)
        asked.set()
        never.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    cancel, session = Cancel(), open_session()
    try:
        error = cancelled_while(
            lambda: session.get("http://slow.invalid/", deadline_seconds=60, max_bytes=10, cancel=cancel),
            cancel,
            asked.is_set,
        )
    finally:
        never.set()
    assert error.kind == "cancelled"


def test_a_cancel_that_is_set_already_ends_a_call_before_it_starts(server, session):
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(HttpError) as caught:
        session.get(server.url + "/x", deadline_seconds=5, max_bytes=1, cancel=cancel)
    assert caught.value.kind == "cancelled"
    assert server.seen == []


def test_cancel_does_not_touch_a_connection_whose_call_has_ended(server, session):
    cancel = Cancel()
    url = server.reply("/x", b"1")
    session.get(url, deadline_seconds=5, max_bytes=10, cancel=cancel)
    cancel.cancel()
    assert session.get(url, deadline_seconds=5, max_bytes=10).body == b"1"
    assert len(server.connections) == 1


def test_many_threads_share_a_session(server, session):
    url = server.reply("/x", b"1" * 10_000)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: session.get(url, deadline_seconds=10, max_bytes=0).body, range(100)))
    assert set(answers) == {b"1" * 10_000}
    assert len(server.connections) <= 8
