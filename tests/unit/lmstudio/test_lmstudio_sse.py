import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.sse import Event, EventTooLargeError, parse


def events(body: bytes) -> list[tuple[str, str]]:
    return [(event.event, event.data) for event in parse([body])]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"data: a\n\n", [("message", "a")], id="LF"),
        pytest.param(b"data: a\r\n\r\n", [("message", "a")], id="CRLF"),
        pytest.param(b"data: a\r\rdata: b\r\r", [("message", "a"), ("message", "b")], id="CR"),
        pytest.param(b"data: a\r\n\ndata: b\n\r\n", [("message", "a"), ("message", "b")], id="mixed line ends"),
        pytest.param(b"data: a\ndata: b\n\n", [("message", "a\nb")], id="data lines are joined"),
        pytest.param(b"data\n\n", [("message", "")], id="a field without a colon is empty"),
        pytest.param(b"data:a\n\n", [("message", "a")], id="the space is optional"),
        pytest.param(b"data:  a\n\n", [("message", " a")], id="only one space is dropped"),
        pytest.param(b"event: error\ndata: a\n\n", [("error", "a")], id="event type"),
        pytest.param(b"event: x\n\ndata: a\n\n", [("message", "a")], id="a type without data is forgotten"),
        pytest.param(b": keep-alive\n\ndata: a\n: in between\ndata: b\n\n", [("message", "a\nb")], id="comments"),
        pytest.param(b"id: 1\nretry: 5\ndatax: no\ndata: a\n\n", [("message", "a")], id="other fields"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("message", "a")], id="byte order mark"),
        pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a")], id="a later mark is part of the name"),
        pytest.param("data: grüße 🙂\n\n".encode(), [("message", "grüße 🙂")], id="UTF-8"),
        pytest.param(b"data: \xff\n\n", [("message", "\ufffd")], id="not UTF-8"),
        pytest.param(b"data: a\x00b\n\n", [("message", "a\x00b")], id="control characters stay"),
    ],
)
def test_events_of_a_stream(body, expected):
    assert events(body) == expected


@pytest.mark.parametrize("body", [b"data: a\n\ndata: b\n", b"data: a\n\ndata: b"])
def test_the_event_that_the_end_leaves_open_is_marked(body):
    assert list(parse([body])) == [Event("message", "a"), Event("message", "b", closed=False)]


def test_each_event_is_given_as_soon_as_it_is_complete():
    def chunks():
        yield b"data: a\n\nda"
        raise AssertionError("read on before the first event was given")

    assert next(parse(chunks())).data == "a"


LINES = st.sampled_from(
    [
        b"data: x",
        "data: ü🙂".encode(),
        b"data",
        b"event: error",
        b": note",
        b"id: 3",
        b"",
        b"\xef\xbb\xbfdata: y",
        b"data: " + b"z" * 40,
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=30).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def collect(chunks, limit):
    got = []
    try:
        for event in parse(chunks, max_event_bytes=limit):
            got += [event]
    except EventTooLargeError:
        got.append("too large")
    return got


@given(
    body=STREAMS | st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 400), max_size=20),
    limit=st.sampled_from([30, 60, 10_000]),
)
def test_where_the_bytes_are_cut_makes_no_difference(body, cuts, limit):
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(edges)]
    whole = collect([body], limit)
    assert collect(pieces, limit) == whole
    assert collect([body[i : i + 1] for i in range(len(body))], limit) == whole


def test_an_event_may_not_grow_without_bound():
    with pytest.raises(EventTooLargeError, match="larger than 100 bytes"):
        list(parse([b"data: " + b"x" * 200 + b"\n\n"], max_event_bytes=100))


def test_many_small_lines_of_one_event_are_bounded_together():
    with pytest.raises(EventTooLargeError):
        list(parse([b"data: xxxxxxxxxx\n"] * 20, max_event_bytes=100))


def test_a_line_without_end_is_not_kept():
    endless = (b"x" * 60 for _ in range(10**9))
    with pytest.raises(EventTooLargeError):
        list(parse(endless, max_event_bytes=100))


def test_comments_may_go_on_for_ever():
    assert [event.data for event in parse([b": still working\n"] * 1000 + [b"data: a\n\n"], max_event_bytes=100)] == [
        "a"
    ]
