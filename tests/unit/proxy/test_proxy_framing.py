"""Where messages begin and end, however the bytes were cut on the way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.proxy.framing import MAX_HEAD_BYTES, MessageReader
from exporter.proxy.head import FramingError, answer_body, request_body


class Heard:
    """A reader and what it said: one (first line, body, complete) a message."""

    def __init__(self, length):
        self.messages = []
        self.reader = MessageReader(self._head, self._body, self._end)
        self._length = length

    def _head(self, head):
        self.messages.append((" ".join(head.first), b"", False))
        return self._length(head)

    def _body(self, piece):
        first, body, _ = self.messages[-1]
        self.messages[-1] = (first, body + bytes(piece), False)

    def _end(self):
        first, body, _ = self.messages[-1]
        self.messages[-1] = (first, body, True)


def requests():
    return Heard(request_body)


def answers(method="GET"):
    return Heard(lambda head: answer_body(head, method))


def feed(heard, data, cuts=()):
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        heard.reader.feed(data[start:end])
    return heard.messages


bodies = st.binary(max_size=300)
extensions = st.sampled_from([b"", b";x=1", b' ; name="v"', b"  "])
trailers = st.sampled_from([b"", b"X-Sum: abc\r\n", b"A: 1\r\nB: 2\r\n"])


@st.composite
def fixed(draw):
    body = draw(bodies)
    return b"POST /f HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), ("POST /f HTTP/1.1", body, True)


@st.composite
def chunked(draw):
    parts = draw(st.lists(st.binary(min_size=1, max_size=100), max_size=5))
    data = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for part in parts:
        size = b"%X" if draw(st.booleans()) else b"%05x"
        data += size % len(part) + draw(extensions) + b"\r\n" + part + b"\r\n"
    return data + b"0\r\n" + draw(trailers) + b"\r\n", ("POST /c HTTP/1.1", b"".join(parts), True)


bare = st.just((b"GET /g HTTP/1.1\r\nHost: x\r\n\r\n", ("GET /g HTTP/1.1", b"", True)))
padded = bare.map(lambda message: (b"\r\n" + message[0], message[1]))


@given(st.lists(st.one_of(fixed(), chunked(), bare, padded), min_size=1, max_size=5), st.data())
def test_pipelined_messages_are_told_apart_wherever_they_are_cut(messages, data):
    stream = b"".join(raw for raw, _ in messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    heard = requests()
    assert feed(heard, stream, cuts) == [expected for _, expected in messages]
    assert heard.reader.between_messages


@given(fixed(), st.data())
def test_a_message_is_complete_with_its_last_byte_and_not_before(message, data):
    raw, expected = message
    cut = data.draw(st.integers(1, len(raw) - 1))
    heard = requests()
    feed(heard, raw[:cut])
    assert not heard.reader.between_messages
    assert all(not complete for _, _, complete in heard.messages)
    heard.reader.feed(raw[cut:])
    assert heard.messages == [expected]


def test_a_message_byte_by_byte():
    data = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    assert feed(requests(), data, range(len(data))) == [
        ("POST /c HTTP/1.1", b"hello", True),
        ("GET / HTTP/1.1", b"", True),
    ]


def test_without_a_length_the_body_lasts_until_the_connection_closes():
    heard = answers()
    assert feed(heard, b"HTTP/1.0 200 OK\r\n\r\nall of this\r\n\r\nand this") == [
        ("HTTP/1.0 200 OK", b"all of this\r\n\r\nand this", False)
    ]
    assert heard.reader.until_close


def test_what_follows_an_upgrade_is_not_looked_at():
    heard = answers()
    feed(heard, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello")
    heard.reader.feed(b"\xff" * 1000)
    assert heard.messages == [("HTTP/1.1 101 Switching Protocols", b"", False)]


def test_an_interim_answer_stands_before_the_real_one():
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert feed(answers("POST"), data) == [("HTTP/1.1 100 Continue", b"", True), ("HTTP/1.1 200 OK", b"ok", True)]


@pytest.mark.parametrize(
    "body",
    [
        b"nine\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5\r\nhello!\r\n",
        b"fffffffffffffffffff\r\n",
        b"5" + b" " * 20_000 + b"\r\n",
        b"0\r\nTrailer: " + b"x" * 20_000,
    ],
)
def test_chunks_that_are_none_are_given_up(body):
    with pytest.raises(FramingError):
        feed(requests(), b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)


@pytest.mark.parametrize("piece", [1 << 20, 5000])
def test_a_head_without_end_is_given_up(piece):
    heard = requests()
    with pytest.raises(FramingError, match="head"):
        for _ in range(2 + MAX_HEAD_BYTES // piece):
            heard.reader.feed(b"x" * piece)


@given(st.binary(max_size=500))
def test_no_bytes_at_all_make_it_fail_otherwise(data):
    heard = requests()
    try:
        feed(heard, data)
    except FramingError:
        return
    assert all(isinstance(body, bytes) for _, body, _ in heard.messages)
