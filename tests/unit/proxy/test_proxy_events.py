"""Events from pushed pieces are those that `lmstudio.sse` reads from the whole."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio import sse
from exporter.proxy.events import EventSplitter

lines = st.sampled_from(
    [b"data: one", b"data:two", b"event: chat.end", b": ping", b"id: 7", b"data", b"", b"data: \xff\xc3"]
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
streams = st.lists(st.tuples(lines, ends), max_size=30).map(lambda parts: b"".join(line + end for line, end in parts))


@given(streams, st.data())
def test_the_events_are_the_same_wherever_the_stream_is_cut(stream, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=15)))
    splitter = EventSplitter()
    edges = [0, *cuts, len(stream)]
    events = [event for a, b in pairwise(edges) for event in splitter.feed(stream[a:b])]
    events += splitter.finish()
    assert [(event.event, event.data) for event in events] == [(e.event, e.data) for e in sse.parse([stream])]


def test_an_event_comes_with_the_piece_that_closes_it():
    splitter = EventSplitter()
    assert list(splitter.feed(b"data: a\n")) == []
    assert [event.data for event in splitter.feed(b"\ndata: b\r\n\r\ndata: c")] == ["a", "b"]
    assert [(event.data, event.closed) for event in splitter.finish()] == [("c", False)]
    assert list(splitter.finish()) == []


def test_a_single_crlf_does_not_close_an_event():
    splitter = EventSplitter()
    assert list(splitter.feed(b"data: a\r")) == []
    assert list(splitter.feed(b"\n")) == []
    assert list(splitter.feed(b"data: b\r\n")) == []
    assert [event.data for event in splitter.feed(b"\r\n")] == ["a\nb"]


def test_an_endless_event_is_given_up():
    splitter = EventSplitter(max_event_bytes=100)
    with pytest.raises(sse.EventTooLargeError):
        for _ in range(20):
            list(splitter.feed(b"data: 12345"))
