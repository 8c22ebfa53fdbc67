"""Redirects are followed as far as they are safe to follow."""

import pytest
from sources_fake_server import serving

from exporter.sources.http import HttpError

SECRETS = {
    "basic_auth": {"username": "user", "password_file": "password"},
    "http_headers": {"X-Api-Key": "hunter2"},
}


@pytest.fixture
def other():
    """A server at another port, which is another origin."""
    with serving() as fake:
        yield fake


@pytest.fixture
def secretive(server, other, open_session, tmp_path):
    """A session with credentials."""
    (tmp_path / "password").write_text("hunter2\n")
    return open_session({**SECRETS, "basic_auth": {"username": "user", "password_file": str(tmp_path / "password")}})


def fetch(session, url, **kwargs):
    return session.get(url, deadline_seconds=5, max_bytes=1000, **kwargs)


@pytest.mark.parametrize("location", ["/new?a=1", "new?a=1", "{url}/new?a=1", "//{address}/new?a=1"])
def test_a_redirect_on_the_same_server_is_followed_with_credentials(server, secretive, location):
    server.reply("/new", b"here")
    start = server.reply("/old", status=302, Location=location.format(url=server.url, address=server.address))
    answer = fetch(secretive, start, headers={"X-Own": "1"})
    assert answer.body == b"here"
    assert answer.url == f"{server.url}/new?a=1"
    headers = server.seen[1].headers
    assert headers["authorization"].startswith("Basic ")
    assert (headers["x-api-key"], headers["x-own"]) == ("hunter2", "1")


def test_another_origin_gets_no_credentials_and_no_configured_headers(server, other, secretive):
    other.reply("/new", b"there")
    start = server.reply("/old", status=302, Location=f"{other.url}/new")
    assert fetch(secretive, start, headers={"X-Own": "1", "Accept": "text/plain"}).body == b"there"
    assert server.seen[0].headers["authorization"]
    assert other.seen[0].headers["accept"] == "text/plain"
    assert not {"authorization", "x-api-key", "x-own", "cookie"} & other.seen[0].headers.keys()
    assert "hunter2" not in str(other.seen[0].headers)


def test_the_first_origin_does_not_get_them_again_from_another(server, other, secretive):
    server.reply("/end", b"end")
    other.reply("/back", status=307, Location=f"{server.url}/end")
    start = server.reply("/old", status=302, Location=f"{other.url}/back")
    assert fetch(secretive, start).body == b"end"
    assert "authorization" not in server.seen[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_becomes_of_a_post(server, session, status):
    """As in browsers: 301, 302 and 303 ask for the new page, 307 and 308 want the body sent there."""
    method = "POST" if status in (307, 308) else "GET"
    server.reply("/new", b"here", method=method)
    start = server.reply("/old", status=status, method="POST", Location="/new")
    answer = session.post(start, deadline_seconds=5, max_bytes=100, json={"a": 1})
    assert answer.body == b"here"
    assert server.seen[1].body == (b'{"a": 1}' if method == "POST" else b"")
    assert ("content-type" in server.seen[1].headers) == (method == "POST")


def refused(call):
    with pytest.raises(HttpError) as caught:
        call()
    assert caught.value.kind == "redirect"
    return str(caught.value)


def test_a_body_is_never_sent_to_another_origin(server, other, session):
    start = server.reply("/old", status=308, method="POST", Location=f"{other.url}/new?key=hunter2")
    text = refused(lambda: session.post(start, deadline_seconds=5, max_bytes=100, json={"prompt": "metrics"}))
    assert f"{other.url}/new" in text
    assert "hunter2" not in text
    assert other.seen == []


def test_a_redirect_loop_ends(server, session):
    start = server.reply("/a", status=302, Location="/b")
    server.reply("/b", status=302, Location="/a")
    assert "more than 10 redirects" in refused(lambda: fetch(session, start))
    assert len(server.seen) == 11


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.invalid/x", "javascript:alert(1)"])
def test_a_redirect_leads_to_http_only(server, session, location):
    assert "neither http nor https" in refused(
        lambda: fetch(session, server.reply("/a", status=302, Location=location))
    )


def test_redirects_are_answers_when_they_are_not_to_be_followed(server, open_session):
    start = server.reply("/a", b"moved", status=302, Location="/b")
    answer = fetch(open_session({"follow_redirects": False}), start)
    assert (answer.status, answer.body, answer.headers["location"]) == (302, b"moved", "/b")


def test_a_redirect_without_a_location_is_an_answer(server, session):
    assert fetch(session, server.reply("/a", status=302)).status == 302


def test_the_body_of_a_redirect_is_not_read_to_its_end(server, session):
    def endless(_, reply):
        reply.raw(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
        while not reply.stopping.is_set():
            reply.raw(b"a" * 65536)

    server.reply("/b", b"here")
    assert fetch(session, server.on("/a", endless)).body == b"here"


def test_a_redirect_keeps_its_connection(server, session):
    server.reply("/b", b"here")
    fetch(session, server.reply("/a", b"moved", status=302, Location="/b"))
    assert len(server.connections) == 1
