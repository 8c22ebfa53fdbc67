"""The deadline covers the whole call, whatever the other side does; each of these servers would go on for ever."""

import itertools
import socket
import threading

import pytest
from sources_fake_server import full, listening

from exporter.sources.call import Call
from exporter.sources.http import HttpError

DEADLINE = 0.25


def timeout_of(session, url, **kwargs):
    with pytest.raises(HttpError) as caught:
        session.get(url, **{"deadline_seconds": DEADLINE, "max_bytes": 1 << 30, **kwargs})
    assert caught.value.kind == "timeout"
    assert f"within {kwargs.get('deadline_seconds', DEADLINE):g} s" in str(caught.value)
    return str(caught.value)


def test_a_server_that_accepts_and_stays_silent(open_session):
    with listening() as sock:
        text = timeout_of(open_session(), f"http://127.0.0.1:{sock.getsockname()[1]}/")
    assert "waiting for the first byte" in text


def test_a_tls_server_that_never_says_hello(open_session):
    with listening() as sock:
        text = timeout_of(open_session(), f"https://127.0.0.1:{sock.getsockname()[1]}/")
    assert "the TLS handshake" in text


def test_a_host_that_does_not_accept_the_connection(open_session):
    with full() as (host, port):
        assert f"connecting to {host}:{port}" in timeout_of(open_session(), f"http://{host}:{port}/")


def test_a_status_line_that_comes_byte_by_byte(server, session):
    assert "bytes so far" in timeout_of(session, server.on("/x", lambda _, reply: reply.drip(b"H")))


def test_headers_that_never_end(server, session):
    def headers(_, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        reply.drip(b"a")

    assert "bytes so far" in timeout_of(session, server.on("/x", headers))


def test_a_server_that_says_continue_for_ever(server, session):
    def going_on(_, reply):
        reply.drip(b"HTTP/1.1 100 Continue\r\n\r\n", seconds=0.0)

    timeout_of(session, server.on("/x", going_on))


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"Content-Length: 1000000", b"a"),
        (b"Content-Type: text/plain", b"a"),
        (b"Transfer-Encoding: chunked", b"1\r\na\r\n"),
        (b"Transfer-Encoding: chunked", b"0"),
    ],
)
def test_a_body_that_comes_byte_by_byte(server, session, head, again):
    def body(_, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        reply.drip(again)

    assert "reading the answer" in timeout_of(session, server.on("/x", body))


def test_a_body_that_comes_fast_and_never_ends(server, session):
    def body(_, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while not reply.stopping.is_set():
            reply.raw(b"a" * 65536)

    timeout_of(session, server.on("/x", body), max_bytes=0)


def test_a_request_body_that_nobody_reads(open_session):
    with listening() as sock, pytest.raises(HttpError) as caught:
        open_session().post(
            f"http://127.0.0.1:{sock.getsockname()[1]}/", deadline_seconds=DEADLINE, max_bytes=1, data=bytes(64 << 20)
        )
    assert caught.value.kind == "timeout"
    assert "sending the request" in str(caught.value) or "connecting" in str(caught.value)


def test_redirects_share_one_deadline(server, session):
    server.on("/slow", lambda _, reply: reply.hang())
    timeout_of(session, server.reply("/start", status=302, Location="/slow"))


def test_a_deadline_that_has_passed_already(server, session):
    timeout_of(session, server.url + "/x", deadline_seconds=0)
    assert server.seen == []


def test_an_infinite_deadline_is_refused(session):
    with pytest.raises(ValueError, match="deadline_seconds"):
        session.get("http://127.0.0.1/", deadline_seconds=float("inf"), max_bytes=1)


def test_a_name_server_that_does_not_answer(open_session, monkeypatch):
    never = threading.Event()
    real = socket.getaddrinfo

    def slow(host, *args, **kwargs):
        if host != "slow.invalid" or kwargs.get("flags"):
            return real(host, *args, **kwargs)
        never.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        assert "resolving the name slow.invalid" in timeout_of(open_session(), "http://slow.invalid/")
    finally:
        never.set()


def test_each_address_of_a_host_gets_its_share(server, session, monkeypatch):
    """A host whose first address does not answer is reached by its second within the deadline."""
    with full() as dead:
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (dead, ("127.0.0.1", server.port))
        ]
        monkeypatch.setattr(Call, "resolve", lambda *_: addresses)
        url = server.reply("/x", b"here")
        assert session.get(url, deadline_seconds=0.5, max_bytes=100).body == b"here"


def test_a_connection_whose_call_timed_out_is_not_used_again(server, session):
    kinds = itertools.chain(["hang"], itertools.repeat("send"))
    url = server.on("/x", lambda _, reply: getattr(reply, next(kinds))())
    timeout_of(session, url)
    assert session.get(url, deadline_seconds=5, max_bytes=10).status == 200
    assert len(server.connections) == 2
