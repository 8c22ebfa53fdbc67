"""How the body behind a head is delimited."""

import pytest

from exporter.proxy.head import (
    Delimiter,
    FramingError,
    answer_body,
    answer_status,
    ends_connection,
    parse_head,
    request_body,
)

REQUESTS = [
    (b"GET / HTTP/1.1", 0),
    (b"POST / HTTP/1.1\r\nContent-Length: 12", 12),
    (b"POST / HTTP/1.0\r\ncontent-length:12", 12),
    (b"POST / HTTP/1.1\r\nContent-Length: 12\r\nContent-Length: 12", 12),
    (b"POST / HTTP/1.1\nContent-Length: 7", 7),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", Delimiter.CHUNKED),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 5", Delimiter.CHUNKED),
]
ANSWERS = [
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0", 0),
    ("GET", b"HTTP/1.1 200\r\nContent-Length: 5", 5),
    ("GET", b"HTTP/1.1 200 OK", Delimiter.CLOSE),
    ("GET", b"HTTP/1.0 200 OK", Delimiter.CLOSE),
    ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", Delimiter.CHUNKED),
    ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip", Delimiter.CLOSE),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500", 0),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", 0),
    ("POST", b"HTTP/1.1 100 Continue", 0),
    ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </x>", 0),
    ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5", 0),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", 0),
    ("GET", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket", Delimiter.TUNNEL),
    ("CONNECT", b"HTTP/1.1 200 OK\r\nContent-Length: 5", Delimiter.TUNNEL),
    ("CONNECT", b"HTTP/1.1 403 No\r\nContent-Length: 5", 5),
]


@pytest.mark.parametrize(("head", "length"), REQUESTS)
def test_the_body_of_a_request(head, length):
    assert request_body(parse_head(head)) == length


@pytest.mark.parametrize(("method", "head", "length"), ANSWERS)
def test_the_body_of_an_answer(method, head, length):
    assert answer_body(parse_head(head), method) == length


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"nonsense",
        b"PRI * HTTP/2.0",
        b"GET /",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6",
        b"POST / HTTP/1.1\r\nContent-Length: -5",
        b"POST / HTTP/1.1\r\nContent-Length: five",
        b"POST / HTTP/1.1\r\nContent-Length:",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip",
    ],
)
def test_a_request_without_a_certain_end_is_not_guessed_at(head):
    with pytest.raises(FramingError):
        request_body(parse_head(head))


@pytest.mark.parametrize("head", [b"HTTP/1.1 abc OK", b"HTTP/2 200", b"ICY 200 OK", b"HTTP/1.1 099 No"])
def test_what_is_no_answer_is_not_guessed_at(head):
    with pytest.raises(FramingError):
        answer_status(parse_head(head))


def test_header_names_are_lowered_and_repeated_ones_joined():
    head = parse_head(b"HTTP/1.1 200 OK\r\nVary: a\r\nX-Empty:\r\nVARY:  b ")
    assert head.headers == {"vary": "a, b", "x-empty": ""}


@pytest.mark.parametrize(
    ("head", "ends"),
    [
        (b"GET / HTTP/1.1", False),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive", False),
        (b"GET / HTTP/1.1\r\nConnection: foo, Close", True),
        (b"GET / HTTP/1.0", True),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", False),
        (b"HTTP/1.1 200 OK", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close", True),
        (b"HTTP/1.0 200 OK", True),
    ],
)
def test_who_says_that_the_connection_ends(head, ends):
    assert ends_connection(parse_head(head)) is ends
