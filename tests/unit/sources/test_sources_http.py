"""What requests look like, what answers become, limits, kept connections."""

import gzip
import json
import tracemalloc
import zlib

import pytest

from exporter.sources.http import HttpError


def fetch(session, url, **kwargs):
    return session.get(url, **{"deadline_seconds": 5.0, "max_bytes": 1 << 20, **kwargs})


def failure(session, url, **kwargs):
    with pytest.raises(HttpError) as caught:
        fetch(session, url, **kwargs)
    assert str(caught.value).startswith(caught.value.url)
    return caught.value


def test_an_answer_has_status_body_and_headers_whose_case_does_not_matter(server, session):
    url = server.reply("/metrics", b"a 1\n", Content_Type="text/plain")
    answer = fetch(session, url)
    assert (answer.status, answer.body, answer.url) == (200, b"a 1\n", url)
    assert answer.headers["content-type"] == answer.headers["CONTENT-TYPE"] == "text/plain"
    assert answer.elapsed_seconds > 0


@pytest.mark.parametrize("status", [204, 304, 400, 404, 500, 503])
def test_any_status_is_an_answer(server, session, status):
    url = server.reply("/x", b"" if status in (204, 304) else b"why", status=status)
    assert fetch(session, url).status == status


def test_query_parameters_and_headers_are_sent(server, open_session):
    session = open_session({"http_headers": {"X-Scope-OrgID": "tenant", "x-own": "settings"}}, user_agent="tester/1")
    url = server.reply("/q")
    fetch(session, url, params={"match": ["a b", "c&d"], "one": "1"}, headers={"X-Own": "call"})
    seen = server.seen[0]
    assert seen.query == [("match", "a b"), ("match", "c&d"), ("one", "1")]
    assert seen.headers["x-scope-orgid"] == "tenant"
    assert seen.headers["x-own"] == "call"
    assert seen.headers["user-agent"] == "tester/1"
    assert seen.headers["accept-encoding"] == "gzip"


def test_post_sends_json_forms_and_bytes(server, session):
    url = server.reply("/p", b"ok", method="POST")
    for content in ({"json": {"a": [1, "ü"]}}, {"data": {"query": "up + 1"}}, {"data": b"raw"}):
        session.post(url, deadline_seconds=5, max_bytes=100, **content)
    as_json, as_form, as_bytes = server.seen
    assert json.loads(as_json.body) == {"a": [1, "ü"]}
    assert as_json.headers["content-type"] == "application/json"
    assert as_form.body == b"query=up+%2B+1"
    assert as_form.headers["content-type"] == "application/x-www-form-urlencoded"
    assert as_bytes.body == b"raw"


def test_cookies_are_not_kept(server, session):
    url = server.reply("/c", Set_Cookie="session=1")
    fetch(session, url)
    fetch(session, url)
    assert "cookie" not in server.seen[1].headers


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", bytes),
        ("GZIP", lambda data: gzip.compress(data[:10]) + gzip.compress(data[10:])),
    ],
)
def test_compressed_bodies_are_unpacked(server, session, encoding, pack):
    body = b"metric 1\n" * 1000
    assert fetch(session, server.reply("/z", pack(body), Content_Encoding=encoding)).body == body


def test_a_gzip_bomb_is_cut_at_the_limit(server, session):
    bomb = gzip.compress(bytes(64 << 20))
    assert len(bomb) < 100_000
    url = server.reply("/bomb", bomb, Content_Encoding="gzip")
    tracemalloc.start()
    error = failure(session, url, max_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.kind == "too_large"
    assert "limit of 1048576 bytes" in str(error)
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content_Encoding": "gzip"}, gzip.compress(b"a" * 1000)[:-20]),
        ({"Content_Encoding": "gzip"}, b"not gzip at all"),
        ({"Content_Encoding": "br"}, b"whatever"),
    ],
    ids=["cut", "not packed", "unknown"],
)
def test_a_broken_or_unknown_encoding_is_an_error(server, session, headers, body):
    assert failure(session, server.reply("/broken", body, **headers)).kind == "protocol"


def test_a_body_that_announces_more_than_the_limit_is_not_read(server, session):
    for length in (b"99999999999", b"9" * 5000):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n"
        url = server.on("/huge", lambda _, reply, head=head: reply.raw(head))
        assert failure(session, url).kind == "too_large"


def test_an_endless_body_is_cut_at_the_limit(server, session):
    def endless(_, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while not reply.stopping.is_set():
            reply.raw(b"a" * 65536)

    assert failure(session, server.on("/endless", endless), deadline_seconds=60).kind == "too_large"


def test_without_a_limit_everything_is_read(server, session):
    assert len(fetch(session, server.reply("/big", bytes(3 << 20)), max_bytes=0).body) == 3 << 20


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"",
    ],
)
def test_an_answer_that_stops_half_way_is_never_taken_for_whole(server, session, answer):
    def half(_, reply):
        reply.raw(answer)
        reply.close()

    assert failure(session, server.on("/half", half)).kind == "reset"


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n"])
def test_something_else_than_http_is_a_protocol_error_that_asks_about_the_port(server, session, answer):
    def other(_, reply):
        reply.raw(answer)
        reply.close()

    error = failure(session, server.on("/ssh", other))
    assert error.kind == "protocol"
    assert "is this the right port" in str(error)
    assert str(error).isprintable()


def test_endless_headers_are_refused(server, session):
    def headers(_, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\n")
        while not reply.stopping.is_set():
            reply.raw(b"X-A: b\r\n" * 100)

    assert failure(session, server.on("/headers", headers), deadline_seconds=60).kind == "protocol"


def test_a_refused_connection_and_an_unknown_host_say_so(session, server, open_session):
    server.close()
    assert failure(session, server.url + "/x").kind == "refused"
    for host in ("does-not-exist.invalid", "a" * 70 + ".invalid"):
        assert failure(session, f"http://{host}/x").kind == "dns"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http://", "127.0.0.1:80", "http://[::1", "http://a b/"])
def test_what_is_no_url_is_an_address_error(open_session, url):
    assert failure(open_session(), url).kind == "address"


def test_the_url_in_an_error_holds_neither_user_nor_query(server, session):
    server.close()
    error = failure(session, f"http://user:hunter2@{server.address}/x?token=hunter2#hunter2")
    assert "hunter2" not in str(error)
    assert error.url == f"{server.url}/x"


def test_a_connection_is_used_again(server, session):
    url = server.reply("/k", b"1")
    for _ in range(5):
        fetch(session, url)
    assert len(server.connections) == 1


def test_a_kept_connection_that_is_reset_before_the_first_byte_is_tried_once_more(server, session):
    answers = iter(["send", "reset", "send"])
    url = server.on("/k", lambda _, reply: getattr(reply, next(answers))())
    assert fetch(session, url).status == 200
    assert fetch(session, url).status == 200
    assert len(server.connections) == 2
    assert len(server.seen) == 3


def test_a_post_on_a_kept_connection_is_never_repeated(server, session):
    url = server.reply("/k")
    server.on("/p", lambda _, reply: reply.reset(), method="POST")
    fetch(session, url)
    with pytest.raises(HttpError) as caught:
        session.post(server.url + "/p", deadline_seconds=5, max_bytes=100, json={})
    assert caught.value.kind == "reset"
    assert len(server.seen) == 2


def test_a_reset_on_a_new_connection_is_not_tried_again(server, session):
    url = server.on("/r", lambda _, reply: reply.reset())
    assert failure(session, url).kind == "reset"
    assert len(server.seen) == 1


def test_a_reset_after_the_first_byte_is_not_tried_again(server, session):
    def half(_, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\nContent-Le")
        reply.reset()

    fetch(session, server.reply("/k"))
    assert failure(session, server.on("/h", half)).kind == "reset"
    assert len(server.seen) == 2


def test_a_connection_that_the_server_closed_while_idle_is_replaced(server, session):
    def once(_, reply):
        reply.send(b"1")
        reply.close()

    url = server.on("/k", once)
    for _ in range(3):
        assert fetch(session, url).body == b"1"


def test_the_environment_is_not_asked(server, open_session, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login user password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fetch(open_session(), server.reply("/env"))
    assert "authorization" not in server.seen[0].headers


def test_a_proxy_is_used_when_configured_or_taken_from_the_environment_on_request(server, open_session, monkeypatch):
    def proxied(seen, reply):
        reply.send(b"through the proxy")

    server.on("/there", proxied)
    assert fetch(open_session({"proxy_url": server.url}), "http://target.invalid/there").body == b"through the proxy"
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    session = open_session({"proxy_from_environment": True})
    assert fetch(session, "http://target.invalid/there").body == b"through the proxy"
    assert [seen.headers["host"] for seen in server.seen] == ["target.invalid"] * 2


def test_an_unreachable_proxy_is_named_as_the_cause(server, open_session):
    server.close()
    error = failure(open_session({"proxy_url": server.url}), "http://target.invalid/there")
    assert error.kind == "proxy"
    assert "proxy_url" in str(error)
